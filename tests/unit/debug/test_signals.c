/* What a process says when it gets a signal: in a process of its own, because some of them end it. */
#include "../support/child.h"
#include "../support/read_dump.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "debug/debug.h"
#include "debug/internal.h"
#include "diag/cpu.h"
#include "probe/thread.h"

#define CHILD "signals-child"
/* What abort() may take where no dump can be had: the handler's five seconds and what is around. */
#define ABORT_NS (7 * CLOCK_NS_PER_SEC)

/* ---- the child: threads that are known, and then what its argument says ---- */

static pthread_mutex_t business_lock = PTHREAD_MUTEX_INITIALIZER;

static TEST_FRAME void wait_for_business_lock(void)
{
	pthread_mutex_lock(&business_lock);
	pthread_mutex_unlock(&business_lock);
}

static atomic_bool is_spinning;

static TEST_FRAME void spin_here(void)
{
	static volatile double sink;

	for (;;) {
		sink = sink * 1.0000001 + 0.5;
		atomic_store(&is_spinning, true);
	}
}

static TEST_FRAME void give_up(void)
{
	abort();
}

static void just_wait(void)
{
	log_puts("ready");
}

static void abort_in_thread(void)
{
	named_thread_start("quitter", give_up);
}

/* The dump cannot even begin. */
static void abort_locked(void *unused)
{
	(void)unused;
	give_up();
}

static void abort_with_the_list_locked(void)
{
	log_puts("ready");
	probe_thread_locked(abort_locked, NULL);
}

/* It goes on, and gives back what it holds. */
static void kill_locked(void *unused)
{
	(void)unused;
	kill(getpid(), SIGABRT);
}

static void get_killed_with_the_list_locked(void)
{
	probe_thread_locked(kill_locked, NULL);
}

/* Nobody reads: the dump cannot be written. */
static void abort_with_the_log_stalled(void)
{
	char junk[512] = {0};
	int fds[2];

	log_puts("ready");
	if (pipe2(fds, O_NONBLOCK) != 0)
		_exit(EXIT_FAILURE);
	while (write(fds[1], junk, sizeof(junk)) > 0)
		;
	fcntl(fds[1], F_SETFL, 0);
	dup2(fds[1], STDERR_FILENO);
	give_up();
}

static void profile_by_other_means(void)
{
	if (cpu_profile_start(CPU_HZ_DEFAULT) != 0)
		_exit(EXIT_FAILURE);
	log_puts("ready");
}

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{"wait", just_wait},
	{"abort-in-thread", abort_in_thread},
	{"abort-locked", abort_with_the_list_locked},
	{"kill-locked", get_killed_with_the_list_locked},
	{"abort-stalled", abort_with_the_log_stalled},
	{"profile", profile_by_other_means},
};

static int child_main(const char *scenario)
{
	debug_signal_profile_seconds = 1;
	debug_init();
	pthread_mutex_lock(&business_lock);
	named_thread_start("business", wait_for_business_lock);
	named_thread_start("busy", spin_here);
	named_thread_await("business", "pthread_mutex_lock");
	while (!atomic_load(&is_spinning))
		sched_yield();
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (strcmp(scenarios[i].name, scenario) == 0)
			scenarios[i].run();
	while (pause() < 0)
		;
	return EXIT_FAILURE;
}

/* ---- its parent ---- */

static struct child start(const char *scenario, const char *tmpdir)
{
	setenv("TMPDIR", tmpdir, 1);
	return child_start(CHILD, scenario);
}

static void tell(const struct child *child, int signal)
{
	assert_int_equal(kill(child->pid, signal), 0);
}

static void end(struct child *child)
{
	tell(child, SIGKILL);
	assert_int_equal(child_await_end(child, CHILD_WAIT_NS), SIGKILL);
}

static size_t task_count(const struct child *child)
{
	char path[64];
	size_t count = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)child->pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	for (struct dirent *entry; (entry = readdir(tasks));)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

/* Awaits a whole dump, and says of how many threads. Returns its text, which is the caller's. */
static char *await_dump(struct child *child, const char *signal_name, size_t *count)
{
	const char *number;
	size_t start_bytes;
	char *dump;

	child_await(child, signal_name);
	start_bytes = child->seen_bytes;
	child_await(child, " threads");
	number = child->text.data + start_bytes;
	assert_memory_equal(number, ": ", 2);
	*count = strtoul(number + 2, NULL, 10);
	for (size_t i = 0; i < *count; i++) {
		child_await(child, "\nthread ");
		child_await(child, "]:\n");
	}
	child_await(child, "\n\n");
	dump = strndup(child->text.data + start_bytes, child->seen_bytes - start_bytes);
	assert_non_null(dump);
	return dump;
}

static void assert_has(const char *dump, const char *part)
{
	if (!strstr(dump, part))
		fail_msg("no \"%s\" in:\n%s", part, dump);
}

static void assert_known_threads(const char *dump)
{
	assert_has(dump, " \"business\" [futex wait, ");
	assert_has(dump, "\nwaits for mutex business_lock (0x");
	assert_has(dump, "\nwait_for_business_lock\n\t");
	/* kill -ABRT may come to it: then its handler comes first. */
	assert_has(dump, " \"busy\" [running]:\n");
	assert_has(dump, "\nspin_here\n\t");
	assert_has(dump, " \"debug-signals\" [running]:\n");
	assert_has(dump, "\nchild_main\n\t");
}

/* ---- dumps ---- */

static void test_usr1_dumps_every_thread_again_and_again(void **state)
{
	struct child child = start("wait", "/tmp");
	size_t count;
	char *dump;

	(void)state;
	child_await(&child, "ready\n");
	for (int i = 0; i < 3; i++) {
		tell(&child, SIGUSR1);
		dump = await_dump(&child, "SIGUSR1", &count);
		assert_int_equal(count, task_count(&child));
		assert_known_threads(dump);
		free(dump);
	}
	end(&child);
}

static void test_abrt_from_outside_dumps_then_ends(void **state)
{
	struct child child = start("wait", "/tmp");
	size_t count;
	char *dump;

	(void)state;
	child_await(&child, "ready\n");
	tell(&child, SIGABRT);
	dump = await_dump(&child, "SIGABRT", &count);
	assert_known_threads(dump);
	free(dump);
	assert_int_equal(child_await_end(&child, ABORT_NS), SIGABRT);
}

static void test_abrt_from_outside_does_not_stop_who_holds_a_lock(void **state)
{
	struct child child = start("kill-locked", "/tmp");
	size_t count;
	char *dump;

	(void)state;
	dump = await_dump(&child, "SIGABRT", &count);
	assert_known_threads(dump);
	free(dump);
	assert_int_equal(child_await_end(&child, ABORT_NS), SIGABRT);
}

static void test_abort_in_a_thread_dumps_then_ends(void **state)
{
	struct child child = start("abort-in-thread", "/tmp");
	size_t count;
	char *dump;

	(void)state;
	dump = await_dump(&child, "SIGABRT", &count);
	assert_has(dump, " \"quitter\" [");
	/* A sanitizer's frames are so large that the copy of the stack ends before. */
#ifndef SICKBAY_SAN
	assert_has(dump, "\nabort\n\t");
	assert_has(dump, "\ngive_up\n\t");
#endif
	free(dump);
	assert_int_equal(child_await_end(&child, ABORT_NS), SIGABRT);
}

static void test_abort_ends_where_no_dump_can_be_had(void **state)
{
	struct child child = start("abort-locked", "/tmp");

	(void)state;
	child_await(&child, "ready\n");
	assert_int_equal(child_await_end(&child, ABORT_NS), SIGABRT);
}

static void test_abort_ends_where_nobody_reads(void **state)
{
	struct child child = start("abort-stalled", "/tmp");

	(void)state;
	child_await(&child, "ready\n");
	assert_int_equal(child_await_end(&child, ABORT_NS), SIGABRT);
}

/* ---- profiles ---- */

#ifndef SICKBAY_SAN
/* It is in DIR, is whole, and names the function that was busy. Removes it. */
static void assert_profile(const char *text, const char *dir)
{
	struct strbuf data = STRBUF_INIT;
	struct read_profile *profile;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(text, "\n"), text);
	assert_memory_equal(path, dir, strlen(dir));
	assert_string_equal(path + strlen(path) - strlen(".pb.gz"), ".pb.gz");
	assert_int_equal(strbuf_read_file(&data, path, 64 << 20), 0);
	assert_int_equal(unlink(path), 0);
	profile = read_profile_open(&data);
	assert_true(read_profile_cumulative(profile, 0, "spin_here") > 10);
	read_profile_close(profile);
	strbuf_free(&data);
}

static void test_usr2_leaves_a_profile_in_tmpdir(void **state)
{
	char dir[] = "/tmp/test-signals-XXXXXX";
	struct child child;
	size_t start_bytes;

	(void)state;
	assert_non_null(mkdtemp(dir));
	child = start("wait", dir);
	child_await(&child, "ready\n");
	for (int i = 0; i < 2; i++) {
		tell(&child, SIGUSR2);
		child_await(&child, "SIGUSR2: taking a CPU profile of 1 s\n");
		tell(&child, SIGUSR2);
		child_await(&child, "SIGUSR2: a CPU profile is being taken already\n");
		child_await(&child, "SIGUSR2: CPU profile written to ");
		start_bytes = child.seen_bytes;
		child_await(&child, "\n");
		assert_profile(child.text.data + start_bytes, dir);
	}
	end(&child);
	assert_int_equal(rmdir(dir), 0);
}

static void assert_still_dumps(struct child *child)
{
	size_t count;

	tell(child, SIGUSR1);
	free(await_dump(child, "SIGUSR1", &count));
}

static void test_usr2_without_a_place_to_write(void **state)
{
	struct child child = start("wait", "/nonexistent/sickbay");

	(void)state;
	child_await(&child, "ready\n");
	tell(&child, SIGUSR2);
	child_await(&child, "SIGUSR2: no CPU profile: No such file or directory\n");
	assert_still_dumps(&child);
	end(&child);
}

static void test_usr2_while_another_profile_runs(void **state)
{
	struct child child = start("profile", "/tmp");

	(void)state;
	child_await(&child, "ready\n");
	tell(&child, SIGUSR2);
	child_await(&child, "SIGUSR2: could not start a CPU profile: one is running already\n");
	assert_still_dumps(&child);
	end(&child);
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usr1_dumps_every_thread_again_and_again),
		cmocka_unit_test(test_abrt_from_outside_dumps_then_ends),
		cmocka_unit_test(test_abrt_from_outside_does_not_stop_who_holds_a_lock),
		cmocka_unit_test(test_abort_in_a_thread_dumps_then_ends),
		cmocka_unit_test(test_abort_ends_where_no_dump_can_be_had),
		cmocka_unit_test(test_abort_ends_where_nobody_reads),
#ifndef SICKBAY_SAN
		cmocka_unit_test(test_usr2_leaves_a_profile_in_tmpdir),
		cmocka_unit_test(test_usr2_without_a_place_to_write),
		cmocka_unit_test(test_usr2_while_another_profile_runs),
#endif
	};

	if (argc == 2 && strcmp(argv[0], CHILD) == 0)
		return child_main(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
