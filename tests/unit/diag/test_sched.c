#include "../support/read_profile.h"
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "diag/sched.h"
#include "probe/modules.h"
#include "probe/thread.h"

static void sleep_ms(int64_t ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * CLOCK_NS_PER_MS};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* ---- threads that have to share one CPU ---- */

struct worker {
	pthread_t thread;
	char name[16];
	bool spins, observes;
	atomic_bool begun, stop;
};

static void stay_on_one_cpu(void)
{
	cpu_set_t may, one;
	int cpu = 0;

	assert_int_equal(pthread_getaffinity_np(pthread_self(), sizeof(may), &may), 0);
	while (!CPU_ISSET(cpu, &may))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(pthread_setaffinity_np(pthread_self(), sizeof(one), &one), 0);
}

static void *work(void *data)
{
	volatile double sink = 0;
	struct worker *worker = data;

	pthread_setname_np(pthread_self(), worker->name);
	if (worker->observes)
		probe_thread_observe();
	stay_on_one_cpu();
	atomic_store(&worker->begun, true);
	while (!atomic_load(&worker->stop)) {
		if (worker->spins)
			sink = sink * 1.0000001 + 0.5;
		else
			sleep_ms(20);
	}
	return NULL;
}

static TEST_FRAME void start_worker(struct worker *worker)
{
	atomic_store(&worker->begun, false);
	atomic_store(&worker->stop, false);
	assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void start_workers(struct worker *workers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		start_worker(&workers[i]);
	for (size_t i = 0; i < count; i++)
		while (!atomic_load(&workers[i].begun))
			sleep_ms(1);
}

static void stop_workers(struct worker *workers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		atomic_store(&workers[i].stop, true);
	for (size_t i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
}

/* ---- profiles ---- */

static struct sched_profile *begin(void)
{
	struct sched_profile *sched;

	assert_int_equal(sched_profile_start(&sched), 0);
	return sched;
}

static struct read_profile *finish(struct sched_profile *sched)
{
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(sched_profile_stop(sched, &out), 0);
	sched_profile_free(sched);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	return profile;
}

static int64_t count_of(const struct read_profile *profile, const char *name)
{
	return read_profile_labelled(profile, 0, NULL, "thread", name);
}

/* Nobody created it. */
static int64_t main_thread_count(const struct read_profile *profile)
{
	return read_profile_labelled(profile, 0, "_start", "thread", program_invocation_short_name);
}

static int64_t delay_of(const struct read_profile *profile, const char *name)
{
	int64_t delay_ns = read_profile_labelled(profile, 1, "start_worker", "thread", name);

	print_message("%s: %.3f s\n", name, (double)delay_ns / 1e9);
	return delay_ns;
}

static void test_three_that_share_a_cpu_wait_two_thirds(void **state)
{
	static struct worker workers[] = {
		{.name = "spin-0", .spins = true},
		{.name = "spin-1", .spins = true},
		{.name = "spin-2", .spins = true},
		{.name = "idle"},
		{.name = "observer", .observes = true},
	};
	int64_t window_ns = 3 * CLOCK_NS_PER_SEC, total_ns = 0;
	struct read_profile *profile;
	struct sched_profile *sched;

	(void)state;
	start_workers(workers, 5);
	sched = begin();
	sleep_ms(window_ns / CLOCK_NS_PER_MS);
	profile = finish(sched);
	stop_workers(workers, 5);
	/* At least two of them wait at any time; all three where others want that CPU, too. */
	for (int i = 0; i < 3; i++) {
		int64_t delay_ns = delay_of(profile, workers[i].name);

		assert_int_equal(count_of(profile, workers[i].name), 1);
		assert_in_range(delay_ns, window_ns * 45 / 100, window_ns);
		total_ns += delay_ns;
	}
	assert_in_range(total_ns, window_ns * 180 / 100, window_ns * 3);
	assert_int_equal(count_of(profile, "idle"), 1);
	/* It wakes now and then, and waits its turn: not half of what they wait. */
	assert_in_range(delay_of(profile, "idle"), 0, total_ns / 3 / 2);
	assert_int_equal(count_of(profile, "observer"), 0);
	assert_int_equal(main_thread_count(profile), 1);
	assert_string_equal(read_profile_comment(profile), "");
	read_profile_close(profile);
}

static void test_threads_that_end_are_counted_from_the_start(void **state)
{
	static struct worker workers[] = {
		{.name = "spin-0", .spins = true},
		{.name = "spin-1", .spins = true},
		{.name = "old", .spins = true},
		{.name = "new", .spins = true},
	};
	struct sched_profile *sched, *whole = begin();
	struct read_profile *profile;
	int64_t old_ns;

	(void)state;
	start_workers(workers, 3);
	sleep_ms(1000);
	sched = begin();
	start_workers(&workers[3], 1);
	sleep_ms(500);
	stop_workers(&workers[2], 2);
	profile = finish(sched);
	assert_int_equal(count_of(profile, "old"), 1);
	assert_int_equal(count_of(profile, "new"), 1);
	old_ns = delay_of(profile, "old");
	assert_in_range(old_ns, 150 * CLOCK_NS_PER_MS, 1000 * CLOCK_NS_PER_MS);
	assert_in_range(delay_of(profile, "new"), 150 * CLOCK_NS_PER_MS, 1000 * CLOCK_NS_PER_MS);
	read_profile_close(profile);
	/* Another session that began earlier saw the same threads, and more of them. */
	profile = finish(whole);
	stop_workers(workers, 2);
	assert_int_equal(count_of(profile, "old"), 1);
	assert_int_equal(count_of(profile, "new"), 1);
	assert_true(delay_of(profile, "old") > old_ns + 300 * CLOCK_NS_PER_MS);
	read_profile_close(profile);
}

/* They end while their files are being read: each is counted once, by itself or by the reader. */
static void test_threads_that_end_meanwhile_are_counted_once(void **state)
{
	enum { LEAVERS = 200, ROUNDS = 5 };
	static struct worker workers[LEAVERS];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct sched_profile *sched;
		struct read_profile *profile;

		for (int i = 0; i < LEAVERS; i++)
			snprintf(workers[i].name, sizeof(workers[i].name), "leaver");
		start_workers(workers, LEAVERS);
		sched = begin();
		for (int i = 0; i < LEAVERS; i++)
			atomic_store(&workers[i].stop, true);
		sleep_ms(round);
		profile = finish(sched);
		stop_workers(workers, LEAVERS);
		assert_int_equal(count_of(profile, "leaver"), LEAVERS);
		read_profile_close(profile);
	}
}

static void test_no_descriptor_is_left(void **state)
{
	struct sched_profile *sched;
	struct read_profile *profile;
	struct rlimit limit, low;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	sched = begin();
	profile = finish(sched);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(main_thread_count(profile), 1);
	assert_string_equal(read_profile_comment(profile), "");
	read_profile_close(profile);
}

/* A namespace whose /proc is empty stands for such a kernel. */
static void test_a_kernel_that_does_not_measure_it(void **state)
{
	enum { REFUSED, WRONG, NO_NAMESPACE };
	struct sched_profile *sched;
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
			mount("none", "/proc", "tmpfs", 0, NULL) != 0)
			_exit(NO_NAMESPACE);
		_exit(sched_profile_start(&sched) == -ENOTSUP ? REFUSED : WRONG);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_NAMESPACE)
		skip();
	assert_int_equal(WEXITSTATUS(status), REFUSED);
}

static int set_up(void **state)
{
	int err;

	(void)state;
	probe_thread_init();
	err = modules_init();
	return err ? err : probe_births_start();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_that_share_a_cpu_wait_two_thirds),
		cmocka_unit_test(test_threads_that_end_are_counted_from_the_start),
		cmocka_unit_test(test_threads_that_end_meanwhile_are_counted_once),
		cmocka_unit_test(test_no_descriptor_is_left),
		cmocka_unit_test(test_a_kernel_that_does_not_measure_it),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
