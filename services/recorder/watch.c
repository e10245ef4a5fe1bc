#include "recorder/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/parse.h"

#define PROC_FILE_BYTES 8192
#define PATH_BYTES 128

/* Where one look at everything stands. */
struct pass {
	struct watch *watch;
	int32_t pid;      /* of the process at hand */
	size_t container; /* it runs in */
	int new_count;
};

static int write_all(int fd, const char *text, size_t len_bytes)
{
	ssize_t written = write(fd, text, len_bytes);

	if (written < 0)
		return -errno;
	return (size_t)written == len_bytes ? 0 : -EIO;
}

/* The kernel is told first: what it does not record, nobody looks for. */
static int tell(const struct watch *watch, const struct task *task, size_t container)
{
	char line[96];
	int err, len_bytes = snprintf(line, sizeof(line), "%d\n", task->host_tid);

	err = write_all(watch->event_pids_fd, line, (size_t)len_bytes);
	if (err)
		return err;
	len_bytes = snprintf(line, sizeof(line), "%d %d %zu %" PRIu64 "\n", task->host_tid,
		task->local_tid, container, task->born_ns);
	return write_all(watch->tasks_fd, line, (size_t)len_bytes);
}

/* What is named by a number in directory PATH, which may be gone; VISIT may end it with an error. */
static int for_each_number(
	const char *path, int (*visit)(struct pass *pass, int32_t number), struct pass *pass)
{
	DIR *dir = opendir(path);
	int err = 0;

	if (!dir)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	for (const struct dirent *entry; !err && (entry = readdir(dir));) {
		int64_t number;

		if (parse_int(entry->d_name, 1, TASK_TID_MAX - 1, &number) == 0)
			err = visit(pass, (int32_t)number);
	}
	closedir(dir);
	return err;
}

/* Reads what the kernel says of a process or a thread; "" where it has ended. */
static void read_proc(char text[PROC_FILE_BYTES], const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len_bytes = 0;

	if (fd >= 0) {
		len_bytes = read(fd, text, PROC_FILE_BYTES - 1);
		close(fd);
	}
	text[len_bytes > 0 ? len_bytes : 0] = '\0';
}

/* The last number of the line NSpid; 0 where there is none, or where the thread has ended. */
static int32_t local_tid(const char *status)
{
	static const char key[] = "\nNSpid:";
	const char *line = strstr(status, key);
	int64_t number = 0;

	if (!line || strstr(status, "\nState:\tZ"))
		return 0;
	for (const char *end = line + strlen(key); *end == '\t';) {
		char *after;

		number = strtoll(end + 1, &after, 10);
		end = after;
	}
	return number > 0 && number < TASK_TID_MAX ? (int32_t)number : 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Who was not there at the last pass is new: its number may have been another's. */
static int visit_thread(struct pass *pass, int32_t tid)
{
	struct watch *watch = pass->watch;
	struct task task = {.host_tid = tid, .born_ns = now_ns()};
	bool is_known = watch->seen_in[tid] && watch->seen_in[tid] + 1 >= watch->pass_number;
	char path[PATH_BYTES], status[PROC_FILE_BYTES];

	if (is_known) {
		watch->seen_in[tid] = watch->pass_number;
		return 0;
	}
	snprintf(path, PATH_BYTES, "%s/%d/task/%d/status", watch->proc, pass->pid, tid);
	read_proc(status, path);
	task.local_tid = local_tid(status);
	if (!task.local_tid)
		return 0;
	watch->seen_in[tid] = watch->pass_number;
	pass->new_count++;
	return tell(watch, &task, pass->container);
}

static int visit_process(struct pass *pass, int32_t pid)
{
	struct watch *watch = pass->watch;
	char path[PATH_BYTES], cgroups[PROC_FILE_BYTES];
	size_t container = 0;

	snprintf(path, PATH_BYTES, "%s/%d/cgroup", watch->proc, pid);
	read_proc(cgroups, path);
	while (container < watch->container_count && !strstr(cgroups, watch->containers[container]))
		container++;
	if (container == watch->container_count)
		return 0;
	pass->pid = pid;
	pass->container = container;
	snprintf(path, PATH_BYTES, "%s/%d/task", watch->proc, pid);
	return for_each_number(path, visit_thread, pass);
}

int watch_pass(struct watch *watch)
{
	struct pass pass = {.watch = watch};
	int err;

	watch->pass_number++;
	err = for_each_number(watch->proc, visit_process, &pass);
	return err ? err : pass.new_count;
}
