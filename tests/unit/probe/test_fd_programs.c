/* The list of open descriptors where a process begins: with few numbers, or by another program. */
#include "../support/test.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/fd.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define KEPT_FD 240 /* by exec(); the next one is not */

static int start(void)
{
	int err;

	probe_thread_init();
	err = modules_init();
	return err ? err : probe_fd_start();
}

static void assert_closed(int fd)
{
	struct probe_fd seen;

	assert_false(probe_fd_read(fd, &seen));
}

static void test_what_a_spawned_program_is_given_changes_nothing(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), status;
	struct probe_fd before, after;
	posix_spawn_file_actions_t actions;
	char *const arguments[] = {"true", NULL};
	pid_t child;

	(void)state;
	assert_true(probe_fd_read(fd, &before));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fd, 250);
	posix_spawn_file_actions_addclose(&actions, fd);
	assert_int_equal(posix_spawnp(&child, "true", &actions, NULL, arguments, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(system("true"), 0);
	assert_true(probe_fd_read(fd, &after));
	assert_int_equal(after.opened_ns, before.opened_ns);
	assert_closed(STDIN_FILENO);
	assert_closed(250);
	close(fd);
}

/* The program once more, by exec(): what it was left it did not open, and so it has no entry. */
static int look_after_exec(void)
{
	struct probe_fd seen;

	if (start() != 0)
		return 1;
	if (fcntl(KEPT_FD, F_GETFD) < 0 || fcntl(KEPT_FD + 1, F_GETFD) >= 0)
		return 2;
	if (probe_fd_read(KEPT_FD, &seen) || probe_fd_read(KEPT_FD + 1, &seen))
		return 3;
	if (close(KEPT_FD) != 0 || dup2(STDERR_FILENO, KEPT_FD) != KEPT_FD)
		return 4;
	return probe_fd_read(KEPT_FD, &seen) ? 0 : 5;
}

static void test_after_exec_the_list_begins_anew(void **state)
{
	int fd = open("/dev/null", O_RDONLY), status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		if (fcntl(fd, F_DUPFD, KEPT_FD) == KEPT_FD &&
			fcntl(fd, F_DUPFD_CLOEXEC, KEPT_FD) == KEPT_FD + 1)
			execl("/proc/self/exe", "after-exec", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_closed(KEPT_FD);
	close(fd);
}

/* In a child, whose hard limit, and so its table, ends at 64, and is raised no more. */
static int start_small(void)
{
	const struct rlimit limit = {64, 64};
	struct probe_fd seen;
	int last;

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || start() != 0)
		return 1;
	last = fcntl(STDERR_FILENO, F_DUPFD, 63);
	if (last != 63 || !probe_fd_read(63, &seen) || probe_fd_read(64, &seen))
		return 2;
	if (probe_fd_read(INT_MAX, &seen) || probe_fd_read(-1, &seen))
		return 3;
	return close(64) == -1 && close(INT_MAX) == -1 && close(last) == 0 ? 0 : 4;
}

static void test_numbers_beyond_the_table_are_left_alone(void **state)
{
	int status;
	pid_t child;

	(void)state;
	child = fork();
	if (child == 0)
		_exit(start_small());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int set_up(void **state)
{
	(void)state;
	return start();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest before_the_start[] = {
		cmocka_unit_test(test_numbers_beyond_the_table_are_left_alone),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_spawned_program_is_given_changes_nothing),
		cmocka_unit_test(test_after_exec_the_list_begins_anew),
	};

	if (argc > 0 && strcmp(argv[0], "after-exec") == 0)
		return look_after_exec();
	return cmocka_run_group_tests(before_the_start, NULL, NULL) ||
	       cmocka_run_group_tests(tests, set_up, NULL);
}
