#include "child.h"

#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

static void become_child(const char *name, const char *argument, int stderr_fd)
{
	const struct rlimit no_core = {0, 0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	dup2(stderr_fd, STDERR_FILENO);
	execl("/proc/self/exe", name, argument, NULL);
	_exit(127);
}

struct child child_start(const char *name, const char *argument)
{
	struct child child = {.text = STRBUF_INIT};
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	child.pid = fork();
	if (child.pid == 0)
		become_child(name, argument, fds[1]);
	assert_true(child.pid > 0);
	close(fds[1]);
	child.stderr_fd = fds[0];
	child.pid_fd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	assert_true(child.pid_fd >= 0);
	return child;
}

/* Returns false at the end. */
static bool read_more(struct child *child, int64_t end_ns)
{
	struct pollfd reader = {.fd = child->stderr_fd, .events = POLLIN};
	int64_t left_ns = end_ns - clock_monotonic_ns();
	ssize_t count;

	if (left_ns <= 0 || poll(&reader, 1, (int)(left_ns / CLOCK_NS_PER_MS) + 1) == 0)
		return false;
	count = read(child->stderr_fd, strbuf_reserve(&child->text, 65536), 65536);
	assert_true(count >= 0);
	strbuf_grew(&child->text, (size_t)count);
	return count > 0;
}

void child_await(struct child *child, const char *part)
{
	int64_t end_ns = clock_monotonic_ns() + CHILD_WAIT_NS;
	const char *at = NULL;

	while (!child->text.data || !(at = strstr(child->text.data + child->seen_bytes, part)))
		if (!read_more(child, end_ns))
			fail_msg("no \"%s\" in:\n%s", part,
				child->text.data ? child->text.data : "");
	child->seen_bytes = (size_t)(at - child->text.data) + strlen(part);
}

int child_await_end(struct child *child, int64_t patience_ns)
{
	struct pollfd end = {.fd = child->pid_fd, .events = POLLIN};
	int status;

	assert_int_equal(poll(&end, 1, (int)(patience_ns / CLOCK_NS_PER_MS)), 1);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	close(child->pid_fd);
	close(child->stderr_fd);
	strbuf_free(&child->text);
	assert_true(WIFSIGNALED(status));
	return WTERMSIG(status);
}
