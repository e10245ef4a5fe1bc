#include "../support/dlopen_storm.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "diag/cpu.h"
#include "probe/modules.h"
#include "probe/thread.h"

static atomic_bool stop_threads;

static int64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * CLOCK_NS_PER_SEC + now.tv_nsec;
}

static void sleep_ms(int64_t ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * CLOCK_NS_PER_MS};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static void burn_until(int64_t cpu_ns)
{
	static volatile double sink;

	while (thread_cpu_ns() < cpu_ns)
		for (int i = 0; i < 1000; i++)
			sink = sink * 1.0000001 + 0.5;
}

/* Each of the four spends its own share of every 40 ms: 10, 20, 30 and 40 percent of a core. */
static void work(int share, int64_t *cpu_ns)
{
	while (!atomic_load(&stop_threads)) {
		int64_t slice_ns = share * 4 * CLOCK_NS_PER_MS, begin_ns = clock_monotonic_ns();

		burn_until(thread_cpu_ns() + slice_ns);
		sleep_ms((40 * CLOCK_NS_PER_MS - (clock_monotonic_ns() - begin_ns)) /
						 CLOCK_NS_PER_MS >
					 0
				 ? (40 * CLOCK_NS_PER_MS - (clock_monotonic_ns() - begin_ns)) /
					   CLOCK_NS_PER_MS
				 : 0);
	}
	*cpu_ns = thread_cpu_ns();
}

#define WORKER(n)                                        \
	static TEST_FRAME void *worker_##n(void *cpu_ns) \
	{                                                \
		work(n, cpu_ns);                         \
		return NULL;                             \
	}
WORKER(1)
WORKER(2)
WORKER(3)
WORKER(4)

static struct read_profile *stop_and_read(void)
{
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(cpu_profile_stop(&out), 0);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	return profile;
}

static void test_shares_are_those_of_the_thread_clocks(void **state)
{
	static void *(*const workers[])(void *) = {worker_1, worker_2, worker_3, worker_4};
	static const char *const names[] = {"worker_1", "worker_2", "worker_3", "worker_4"};
	struct read_profile *profile;
	int64_t cpu_ns[4], total_ns = 0, sampled_ns;
	pthread_t threads[4];

	(void)state;
	atomic_store(&stop_threads, false);
	assert_int_equal(cpu_profile_start(CPU_HZ_MAX), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, workers[i], &cpu_ns[i]), 0);
	sleep_ms(5000);
	atomic_store(&stop_threads, true);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		total_ns += cpu_ns[i];
	}
	profile = stop_and_read();
	sampled_ns = read_profile_total(profile, 1);
	for (int i = 0; i < 4; i++) {
		double clock_share = 100.0 * (double)cpu_ns[i] / (double)total_ns;
		double share = 100.0 * (double)read_profile_cumulative(profile, 1, names[i]) /
			       (double)sampled_ns;

		print_message("%s: %.1f %% of the clocks, %.1f %% of the profile\n", names[i],
			clock_share, share);
		assert_true(share > clock_share - 5 && share < clock_share + 5);
	}
	/* And all together they are billed what they used. */
	assert_true((double)sampled_ns > 0.85 * (double)total_ns);
	assert_true((double)sampled_ns < 1.15 * (double)total_ns);
	read_profile_close(profile);
}

static TEST_FRAME void fill_with_random(char *buf, size_t size_bytes)
{
	while (getrandom(buf, size_bytes, 0) < 0 && errno == EINTR)
		;
}

static void *random_main(void *arg)
{
	static __thread char buf[32768];

	(void)arg;
	while (!atomic_load(&stop_threads))
		fill_with_random(buf, sizeof(buf));
	return NULL;
}

static void test_a_profile_beside_dlopen_keeps_the_caller_of_getrandom(void **state)
{
	int64_t all, with_caller;
	struct read_profile *profile;
	pthread_t random_thread;
	size_t dlopen_count;

	(void)state;
	atomic_store(&stop_threads, false);
	pthread_create(&random_thread, NULL, random_main, NULL);
	dlopen_storm_start();
	assert_int_equal(cpu_profile_start(CPU_HZ_MAX), 0);
	sleep_ms(test_is_stress() ? 30000 : 5000);
	profile = stop_and_read();
	atomic_store(&stop_threads, true);
	pthread_join(random_thread, NULL);
	dlopen_count = dlopen_storm_stop();
	all = read_profile_edge(profile, 0, "getrandom", NULL);
	with_caller = read_profile_edge(profile, 0, "getrandom", "fill_with_random");
	print_message("%zu dlopens; %lld of %lld samples in getrandom know their caller\n",
		dlopen_count, (long long)with_caller, (long long)all);
	assert_true(all > 20);
	assert_int_equal(with_caller, all);
	assert_true(dlopen_count > 100);
	read_profile_close(profile);
}

static void test_only_one_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(cpu_profile_start(0), -EINVAL);
	assert_int_equal(cpu_profile_start(CPU_HZ_MAX + 1), -EINVAL);
	assert_int_equal(cpu_profile_start(50), 0);
	assert_int_equal(cpu_profile_start(50), -EBUSY);
	cpu_profile_drop();
	assert_int_equal(cpu_profile_start(50), 0);
	read_profile_close(stop_and_read());
	struct strbuf out = STRBUF_INIT;
	assert_int_equal(cpu_profile_stop(&out), -EBUSY);
	assert_null(out.data);
}

/* "SigQ: 3/96365" of /proc/self/status: timers count there, for the whole user. */
static int pending_signals(void)
{
	struct strbuf status = STRBUF_INIT;
	int count;

	assert_int_equal(strbuf_read_file(&status, "/proc/self/status", 65536), 0);
	count = (int)strtol(strstr(status.data, "SigQ:") + 5, NULL, 10);
	strbuf_free(&status);
	return count;
}

static void *wait_main(void *arg)
{
	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	return NULL;
}

/* The kernel's own list of this process's timers, one "ID:" line each. */
static int timer_count(void)
{
	struct strbuf timers = STRBUF_INIT;
	int count = 0;

	if (strbuf_read_file(&timers, "/proc/self/timers", 1 << 20) != 0)
		return -1; /* a kernel without CONFIG_CHECKPOINT_RESTORE */
	for (const char *at = timers.data; at && (at = strstr(at, "ID:")); at += 3)
		count++;
	strbuf_free(&timers);
	return count;
}

static void test_timers_exist_only_while_a_profile_runs(void **state)
{
	(void)state;
	if (timer_count() < 0)
		skip();
	assert_int_equal(timer_count(), 0);
	assert_int_equal(cpu_profile_start(100), 0);
	assert_true(timer_count() > 0);
	cpu_profile_drop();
	assert_int_equal(timer_count(), 0);
}

static void test_a_refused_timer_is_noted_not_fatal(void **state)
{
	struct rlimit limit, low;
	struct read_profile *profile;
	pthread_t threads[8];
	pthread_barrier_t barrier;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 9);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, wait_main, &barrier);
	pthread_barrier_wait(&barrier);
	assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)pending_signals() + 3;
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &low), 0);
	assert_int_equal(cpu_profile_start(100), 0);
	profile = stop_and_read();
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
	assert_non_null(strstr(read_profile_comment(profile), "no timer could be had"));
	read_profile_close(profile);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	cpu_sampler_init();
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_one_at_a_time),
		cmocka_unit_test(test_timers_exist_only_while_a_profile_runs),
		cmocka_unit_test(test_a_refused_timer_is_noted_not_fatal),
		cmocka_unit_test(test_shares_are_those_of_the_thread_clocks),
		cmocka_unit_test(test_a_profile_beside_dlopen_keeps_the_caller_of_getrandom),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
