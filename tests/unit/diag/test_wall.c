#include "../support/read_profile.h"
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "diag/wall.h"
#include "probe/modules.h"
#include "probe/thread.h"

static void sleep_until(int64_t until_ns)
{
	const struct timespec until = {until_ns / CLOCK_NS_PER_SEC, until_ns % CLOCK_NS_PER_SEC};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* ---- threads that do one thing each ---- */

static atomic_bool stop_threads;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stopped = PTHREAD_COND_INITIALIZER;

static TEST_FRAME void spin_here(void)
{
	static volatile double sink;

	while (!atomic_load(&stop_threads))
		sink = sink * 1.0000001 + 0.5;
}

static TEST_FRAME void sleep_here(void)
{
	while (!atomic_load(&stop_threads))
		nanosleep(&(struct timespec){.tv_nsec = 50 * CLOCK_NS_PER_MS}, NULL);
}

static TEST_FRAME void wait_here(void)
{
	pthread_mutex_lock(&lock);
	while (!atomic_load(&stop_threads))
		pthread_cond_wait(&stopped, &lock);
	pthread_mutex_unlock(&lock);
}

static TEST_FRAME void observe_here(void)
{
	probe_thread_observe();
	wait_here();
}

static void *run(void *function)
{
	((void (*)(void))function)();
	return NULL;
}

static pthread_t start(void (*function)(void))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, (void *)function), 0);
	return thread;
}

static void stop(pthread_t *threads, size_t count)
{
	pthread_mutex_lock(&lock);
	atomic_store(&stop_threads, true);
	pthread_cond_broadcast(&stopped);
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop_threads, false);
}

/* ---- profiles ---- */

static struct wall_profile *begin(int hz)
{
	struct wall_profile *wall;

	assert_int_equal(wall_profile_start(hz, &wall), 0);
	return wall;
}

/* Returns when the first sweep was: on a busy machine sweeps are slow, and then get rare. */
static int64_t sweep_until(struct wall_profile *wall, int64_t end_ns)
{
	int64_t first_ns = 0;

	while (wall_profile_due_ns(wall) < end_ns) {
		sleep_until(wall_profile_due_ns(wall));
		if (first_ns == 0)
			first_ns = clock_monotonic_ns();
		wall_profile_sweep(wall);
	}
	sleep_until(end_ns);
	return first_ns ? first_ns : end_ns;
}

static struct read_profile *finish(struct wall_profile *wall)
{
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(wall_profile_stop(wall, &out), 0);
	wall_profile_free(wall);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	return profile;
}

static struct read_profile *profile_for(int hz, int64_t duration_ns)
{
	int64_t end_ns = clock_monotonic_ns() + duration_ns;
	struct wall_profile *wall = begin(hz);

	(void)sweep_until(wall, end_ns);
	return finish(wall);
}

/* "30 sweeps in 3s, ..." */
static int64_t sweep_count(const struct read_profile *profile)
{
	print_message("%s\n", read_profile_comment(profile));
	return strtoll(read_profile_comment(profile), NULL, 10);
}

static void assert_about(int64_t ns, int64_t wanted_ns)
{
	if (ns < wanted_ns * 85 / 100 || ns > wanted_ns * 115 / 100)
		fail_msg("%.3f s, not %.3f s", (double)ns / 1e9, (double)wanted_ns / 1e9);
}

static void test_every_thread_gets_the_window_where_it_is(void **state)
{
	static const int64_t window_ns = 3 * CLOCK_NS_PER_SEC;
	struct read_profile *profile;
	pthread_t threads[4];

	(void)state;
	threads[0] = start(spin_here);
	threads[1] = start(sleep_here);
	threads[2] = start(wait_here);
	threads[3] = start(observe_here);
	sleep_until(clock_monotonic_ns() + 50 * CLOCK_NS_PER_MS);
	profile = profile_for(20, window_ns);
	stop(threads, 4);
	assert_about(read_profile_cumulative(profile, 1, "spin_here"), window_ns);
	assert_about(read_profile_cumulative(profile, 1, "sleep_here"), window_ns);
	assert_about(read_profile_cumulative(profile, 1, "wait_here"), window_ns);
	assert_about(read_profile_labelled(profile, 1, "spin_here", "state", "running"), window_ns);
	assert_about(read_profile_labelled(profile, 1, "sleep_here", "state", "sleep"), window_ns);
	assert_about(
		read_profile_labelled(profile, 1, "wait_here", "state", "futex wait"), window_ns);
	assert_int_equal(read_profile_cumulative(profile, 0, "wait_here"), sweep_count(profile));
	assert_int_equal(read_profile_cumulative(profile, 0, "observe_here"), 0);
	read_profile_close(profile);
}

/* From the first sweep that can see it until the first that cannot. */
static void test_a_thread_gets_the_time_it_was_there(void **state)
{
	int64_t start_ns = clock_monotonic_ns(), seen_ns, gone_ns;
	struct wall_profile *wall = begin(50);
	struct read_profile *profile;
	pthread_t thread;

	(void)state;
	(void)sweep_until(wall, start_ns + CLOCK_NS_PER_SEC / 2);
	thread = start(wait_here);
	sleep_until(clock_monotonic_ns() + 50 * CLOCK_NS_PER_MS);
	seen_ns = sweep_until(wall, start_ns + CLOCK_NS_PER_SEC * 3 / 2);
	stop(&thread, 1);
	gone_ns = sweep_until(wall, start_ns + CLOCK_NS_PER_SEC * 2);
	profile = finish(wall);
	assert_about(read_profile_cumulative(profile, 1, "wait_here"), gone_ns - seen_ns);
	read_profile_close(profile);
}

static void test_two_at_once_are_both_whole(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + CLOCK_NS_PER_SEC, due_ns;
	struct wall_profile *walls[] = {begin(10), begin(25)};
	pthread_t thread = start(sleep_here);

	(void)state;
	for (;;) {
		int first = wall_profile_due_ns(walls[1]) < wall_profile_due_ns(walls[0]);

		due_ns = wall_profile_due_ns(walls[first]);
		if (due_ns >= end_ns)
			break;
		sleep_until(due_ns);
		wall_profile_sweep(walls[first]);
	}
	sleep_until(end_ns);
	for (int i = 0; i < 2; i++) {
		struct read_profile *profile = finish(walls[i]);

		assert_about(read_profile_cumulative(profile, 1, "sleep_here"), CLOCK_NS_PER_SEC);
		read_profile_close(profile);
	}
	stop(&thread, 1);
}

/* ---- threads that do not answer ---- */

static int silence[2];

static TEST_FRAME void keep_silent(void)
{
	char byte;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	assert_int_equal(read(silence[0], &byte, 1), 1);
}

static TEST_FRAME pthread_t start_a_silent_one(void)
{
	return start(keep_silent);
}

/* Each sweep waits 5 ms for it: 50 a second would cost a quarter of the time. */
static void test_slow_sweeps_get_rare_and_the_window_stays_whole(void **state)
{
	struct read_profile *profile;
	pthread_t thread;
	int64_t count;

	(void)state;
	assert_int_equal(pipe(silence), 0);
	thread = start_a_silent_one();
	sleep_until(clock_monotonic_ns() + 50 * CLOCK_NS_PER_MS);
	profile = profile_for(50, CLOCK_NS_PER_SEC);
	assert_int_equal(write(silence[1], "x", 1), 1);
	pthread_join(thread, NULL);
	close(silence[0]);
	close(silence[1]);
	count = sweep_count(profile);
	assert_in_range(count, 1, 11);
	/* It never showed its stack: its creator's stands for it. */
	assert_int_equal(read_profile_cumulative(profile, 0, "keep_silent"), 0);
	assert_int_equal(read_profile_cumulative(profile, 0, "start_a_silent_one"), count);
	assert_about(read_profile_labelled(profile, 1, "start_a_silent_one", "state", "unknown"),
		CLOCK_NS_PER_SEC);
	assert_non_null(strstr(read_profile_comment(profile), "did not answer"));
	read_profile_close(profile);
}

/* ---- the program's own calls ---- */

static struct calls {
	sem_t sem;
	int pipe[2];
	atomic_int sem_result, cond_result;
	atomic_long read_result;
} calls;

static void wait_for_semaphore(void)
{
	atomic_store(&calls.sem_result, sem_wait(&calls.sem));
}

static void wait_for_bytes(void)
{
	char byte;

	atomic_store(&calls.read_result, read(calls.pipe[0], &byte, 1));
}

static void wait_for_condition(void)
{
	int result = 0;

	pthread_mutex_lock(&lock);
	while (!atomic_load(&stop_threads) && result == 0)
		result = pthread_cond_wait(&stopped, &lock);
	pthread_mutex_unlock(&lock);
	atomic_store(&calls.cond_result, result);
}

static void test_waits_are_not_interrupted(void **state)
{
	enum { NOT_YET = 100 };
	pthread_t threads[3];

	(void)state;
	assert_int_equal(sem_init(&calls.sem, 0, 0), 0);
	assert_int_equal(pipe(calls.pipe), 0);
	atomic_store(&calls.sem_result, NOT_YET);
	atomic_store(&calls.cond_result, NOT_YET);
	atomic_store(&calls.read_result, NOT_YET);
	threads[0] = start(wait_for_semaphore);
	threads[1] = start(wait_for_condition);
	threads[2] = start(wait_for_bytes);
	sleep_until(clock_monotonic_ns() + 50 * CLOCK_NS_PER_MS);
	read_profile_close(profile_for(50, CLOCK_NS_PER_SEC));
	assert_int_equal(atomic_load(&calls.sem_result), NOT_YET);
	assert_int_equal(atomic_load(&calls.cond_result), NOT_YET);
	assert_int_equal(atomic_load(&calls.read_result), NOT_YET);
	sem_post(&calls.sem);
	assert_int_equal(write(calls.pipe[1], "x", 1), 1);
	stop(threads, 3);
	assert_int_equal(atomic_load(&calls.sem_result), 0);
	assert_int_equal(atomic_load(&calls.cond_result), 0);
	assert_int_equal(atomic_load(&calls.read_result), 1);
	close(calls.pipe[0]);
	close(calls.pipe[1]);
	sem_destroy(&calls.sem);
}

static void test_nonsense_is_refused(void **state)
{
	struct wall_profile *wall;

	(void)state;
	assert_int_equal(wall_profile_start(WALL_HZ_MIN - 1, &wall), -EINVAL);
	assert_int_equal(wall_profile_start(WALL_HZ_MAX + 1, &wall), -EINVAL);
	wall_profile_free(NULL);
	wall_profile_free(begin(WALL_HZ_MAX));
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
		cmocka_unit_test(test_every_thread_gets_the_window_where_it_is),
		cmocka_unit_test(test_a_thread_gets_the_time_it_was_there),
		cmocka_unit_test(test_two_at_once_are_both_whole),
		cmocka_unit_test(test_slow_sweeps_get_rare_and_the_window_stays_whole),
		cmocka_unit_test(test_waits_are_not_interrupted),
		cmocka_unit_test(test_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
