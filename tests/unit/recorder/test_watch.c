#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "recorder/watch.h"

#define PATIENT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOOLBOX "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define FOREIGN "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static char proc[] = "/tmp/test-watch-XXXXXX";
static char *containers[] = {PATIENT, TOOLBOX};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_process(int pid, const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d", proc, pid);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%d/task", proc, pid);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%d/cgroup", proc, pid);
	write_file(path, cgroup);
}

static void make_thread(int pid, int tid, const char *status)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d/task/%d", proc, pid, tid);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%d/task/%d/status", proc, pid, tid);
	write_file(path, status);
}

static void remove_thread(int pid, int tid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d/task/%d/status", proc, pid, tid);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/%d/task/%d", proc, pid, tid);
	assert_int_equal(rmdir(path), 0);
}

static void expect_content(int fd, const char *wanted)
{
	char text[256] = "";

	assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
	assert_string_equal(text, wanted);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(proc))
		return -1;
	make_process(50, "9:pids:/docker/" PATIENT "\n8:cpu:/docker/" PATIENT "\n");
	make_thread(50, 50, "Name:\tapp\nNSpid:\t50\t7\nThreads:\t2\n");
	make_process(60, "0::/../docker-" TOOLBOX ".scope\n");
	make_thread(60, 60, "Name:\tbash\nNSpid:\t60\t3\t9\n");
	make_process(900, "0::/system.slice/docker-" FOREIGN ".scope\n");
	make_thread(900, 900, "Name:\tx\nNSpid:\t900\t7\n");
	return 0;
}

static int remove_all(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", proc);
	return system(command);
}

static void passes_find_what_is_new(void **state)
{
	struct watch watch = {.proc = proc,
		.containers = containers,
		.container_count = 2,
		.seen_in = xcalloc(TASK_TID_MAX, sizeof(*watch.seen_in)),
		.event_pids_fd = memfd_create("pids", MFD_CLOEXEC),
		.tasks_fd = memfd_create("tasks", MFD_CLOEXEC)};
	struct tasks tasks = TASKS_INIT;
	char path[64];

	(void)state;
	assert_int_equal(watch_pass(&watch), 2);
	assert_int_equal(watch_pass(&watch), 0);
	make_thread(50, 51, "Name:\tworker\nNSpid:\t51\t8\n");
	make_thread(50, 52, "Name:\tgone\n");
	make_thread(50, 53, "Name:\tended\nState:\tZ (zombie)\nNSpid:\t53\t10\n");
	assert_int_equal(watch_pass(&watch), 1);
	/* It goes, and the number comes back. */
	remove_thread(50, 51);
	assert_int_equal(watch_pass(&watch), 0);
	make_thread(50, 51, "Name:\tworker\nNSpid:\t51\t11\n");
	assert_int_equal(watch_pass(&watch), 1);
	assert_int_equal(watch_pass(&watch), 0);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", watch.tasks_fd);
	assert_int_equal(tasks_read(&tasks, path), 0);
	assert_int_equal(tasks.count, 4);
	assert_int_equal(tasks_host_tid(&tasks, 7), 50);
	assert_int_equal(tasks_host_tid(&tasks, 8), 51);
	assert_int_equal(tasks_host_tid(&tasks, 11), 51);
	assert_int_equal(tasks_host_tid(&tasks, 9), 0);
	assert_int_equal(tasks_find(&tasks, 60, UINT64_MAX)->local_tid, 9);
	assert_false(tasks_find(&tasks, 60, UINT64_MAX)->is_patient);
	assert_null(tasks_find(&tasks, 60, 0));
	assert_null(tasks_find(&tasks, 900, UINT64_MAX));
	/* Directories have no order. */
	assert_int_equal(lseek(watch.event_pids_fd, 0, SEEK_END), strlen("50\n51\n60\n51\n"));
	tasks_free(&tasks);
	free(watch.seen_in);
	close(watch.event_pids_fd);
	close(watch.tasks_fd);
}

static void what_cannot_be_told_is_an_error(void **state)
{
	struct watch watch = {.proc = proc,
		.containers = containers,
		.container_count = 2,
		.seen_in = xcalloc(TASK_TID_MAX, sizeof(*watch.seen_in)),
		.event_pids_fd = open("/dev/full", O_WRONLY | O_CLOEXEC),
		.tasks_fd = memfd_create("tasks", MFD_CLOEXEC)};

	(void)state;
	assert_int_equal(watch_pass(&watch), -ENOSPC);
	expect_content(watch.tasks_fd, "");
	free(watch.seen_in);
	close(watch.event_pids_fd);
	close(watch.tasks_fd);
}

static void lines_that_are_none(void **state)
{
	static const char *const bad[] = {"50\n", "50 7 0\n", "50 7 0 1 1\n", "50 7 0 x\n",
		"-1 7 0 1\n", "4194304 7 0 1\n", "50  0 1\n", "\n"};
	struct tasks tasks = TASKS_INIT;
	char path[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = memfd_create("tasks", MFD_CLOEXEC);

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		write_file(path, bad[i]);
		assert_int_equal(tasks_read(&tasks, path), -EBADMSG);
		close(fd);
	}
	assert_int_equal(tasks_read(&tasks, "/nowhere"), -ENOENT);
	assert_int_equal(tasks.count, 0);
	tasks_free(&tasks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_find_what_is_new),
		cmocka_unit_test(what_cannot_be_told_is_an_error),
		cmocka_unit_test(lines_that_are_none),
	};

	return cmocka_run_group_tests(tests, set_up, remove_all);
}
