#include "common/nofile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by lock. */
static unsigned depth;
static rlim_t raised_to; /* the soft limit we set; RLIM_INFINITY + 0 is a value like any other */
static rlim_t found;     /* the soft limit that comes back */
static int raised;

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	/* Somebody lowered it while we had it raised: from now on theirs is what comes back. */
	if (raised && limit.rlim_cur == raised_to)
		return;
	raised = 0;
	if (limit.rlim_cur == limit.rlim_max)
		return;
	found = limit.rlim_cur;
	raised_to = limit.rlim_cur = limit.rlim_max;
	raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void restore_limit(void)
{
	struct rlimit limit;

	if (!raised)
		return;
	raised = 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur != raised_to)
		return;
	limit.rlim_cur = found < limit.rlim_max ? found : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int nofile_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

void nofile_headroom_enter(void)
{
	int saved_errno = errno;

	pthread_mutex_lock(&lock);
	depth++;
	raise_limit();
	pthread_mutex_unlock(&lock);
	errno = saved_errno;
}

void nofile_headroom_leave(void)
{
	int saved_errno = errno;

	pthread_mutex_lock(&lock);
	if (--depth == 0)
		restore_limit();
	pthread_mutex_unlock(&lock);
	errno = saved_errno;
}

rlim_t nofile_limit(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	pthread_mutex_lock(&lock);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && raised && limit.rlim_cur == raised_to)
		limit.rlim_cur = found;
	pthread_mutex_unlock(&lock);
	return limit.rlim_cur;
}

int nofile_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EMFILE) {
		nofile_headroom_enter();
		fd = open(path, flags | O_CLOEXEC, 0600);
		nofile_headroom_leave();
	}
	return fd < 0 ? -errno : fd;
}

/* What was open stays open where somebody lowers the hard limit. */
static rlim_t hard_at_start;

__attribute__((constructor)) static void note_hard_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		hard_at_start = limit.rlim_max;
}

/* A call a number: slow, but it takes no descriptor. */
static int try_each(void (*visit)(int fd, void *context), void *context)
{
	struct rlimit limit;
	rlim_t end;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	end = limit.rlim_max > hard_at_start ? limit.rlim_max : hard_at_start;
	for (int fd = 0; (rlim_t)fd < end; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			visit(fd, context);
	return 0;
}

int nofile_for_each(void (*visit)(int fd, void *context), void *context)
{
	int own_fd = nofile_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	DIR *directory;

	if (own_fd == -EMFILE || own_fd == -ENFILE)
		return try_each(visit, context);
	if (own_fd < 0)
		return own_fd;
	directory = fdopendir(own_fd);
	if (!directory) {
		close(own_fd);
		return -ENOMEM; /* all else that it can fail for is a bad descriptor */
	}
	for (const struct dirent *entry; (entry = readdir(directory));) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && fd != own_fd)
			visit(fd, context);
	}
	closedir(directory);
	return 0;
}
