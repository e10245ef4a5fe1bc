/* Conditions behind the interposers of mutex.c: libc's newest behaviour, and cancellation. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "probe/wait.h"

#define WAITED_NS (50 * CLOCK_NS_PER_MS)
#define LATE_NS (5 * CLOCK_NS_PER_SEC)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static bool has_come;
static atomic_int cond_waits, contended_unlocks;

static void on_wait_end(const struct probe_wait *wait, int64_t now_ns)
{
	assert_true(wait->since_ns <= now_ns);
	if (wait->call->kind == PROBE_WAIT_COND)
		atomic_fetch_add(&cond_waits, 1);
}

static void on_contended_unlock(int64_t waited_ns, unsigned waiter_count)
{
	assert_true(waited_ns > 0 && waiter_count > 0);
	atomic_fetch_add(&contended_unlocks, 1);
}

static struct timespec after_ns(clockid_t clock, int64_t ns)
{
	struct timespec until;

	clock_gettime(clock, &until);
	until.tv_nsec += ns;
	until.tv_sec += until.tv_nsec / CLOCK_NS_PER_SEC;
	until.tv_nsec %= CLOCK_NS_PER_SEC;
	return until;
}

static void wait_until_it_comes(void)
{
	assert_int_equal(pthread_mutex_lock(&lock), 0);
	while (!has_come)
		assert_int_equal(pthread_cond_wait(&came, &lock), 0);
	assert_int_equal(pthread_mutex_unlock(&lock), 0);
}

static void test_a_signal_wakes(void **state)
{
	pthread_t waiter = named_thread_start("waiter", wait_until_it_comes);

	(void)state;
	named_thread_await("waiter", "pthread_cond_wait");
	assert_int_equal(atomic_load(&cond_waits), 0);
	pthread_mutex_lock(&lock);
	has_come = true;
	pthread_cond_signal(&came);
	pthread_mutex_unlock(&lock);
	pthread_join(waiter, NULL);
	assert_true(atomic_load(&cond_waits) > 0);
}

static void lock_and_signal(void)
{
	pthread_mutex_lock(&lock);
	pthread_cond_signal(&came);
	pthread_mutex_unlock(&lock);
}

static TEST_FRAME void lock_for_waiting(void)
{
	pthread_mutex_lock(&lock);
}

static int wait_by(int call)
{
	const struct timespec until = {.tv_sec = INT32_MAX};

	switch (call) {
	case 0:
		return pthread_cond_wait(&came, &lock);
	case 1:
		return pthread_cond_timedwait(&came, &lock, &until);
	default:
		return pthread_cond_clockwait(&came, &lock, CLOCK_MONOTONIC, &until);
	}
}

/* Who begins to wait for a condition lets the mutex go: that is an unlock. */
static void test_waiting_unlocks_for_others(void **state)
{
	(void)state;
	for (int call = 0; call < 3; call++) {
		pthread_t other;

		lock_for_waiting();
		other = named_thread_start("other", lock_and_signal);
		named_thread_await("other", "pthread_mutex_lock");
		assert_int_equal(atomic_load(&contended_unlocks), call);
		assert_int_equal(wait_by(call), 0);
		assert_int_equal(atomic_load(&contended_unlocks), call + 1);
		assert_string_equal(
			read_dump_function(probe_locked_at(gettid(), &lock)), "lock_for_waiting");
		pthread_mutex_unlock(&lock);
		pthread_join(other, NULL);
	}
}

/* Of the version of 1998 that libc still has, too: there this would wait for some 50 years. */
static void test_a_condition_keeps_its_clock(void **state)
{
	int64_t start_ns = clock_monotonic_ns();
	pthread_condattr_t attr;
	pthread_cond_t cond;
	struct timespec until;
	int err;

	(void)state;
	pthread_condattr_init(&attr);
	assert_int_equal(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), 0);
	pthread_cond_init(&cond, &attr);
	pthread_mutex_lock(&lock);
	until = after_ns(CLOCK_MONOTONIC, WAITED_NS);
	do
		err = pthread_cond_timedwait(&cond, &lock, &until);
	while (err == 0);
	assert_int_equal(err, ETIMEDOUT);
	assert_in_range(clock_monotonic_ns() - start_ns, WAITED_NS, LATE_NS);
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&cond);
	pthread_condattr_destroy(&attr);
}

static void test_a_wait_gives_up(void **state)
{
	int64_t start_ns = clock_monotonic_ns();
	struct timespec until = after_ns(CLOCK_REALTIME, WAITED_NS);
	int err;

	(void)state;
	pthread_mutex_lock(&lock);
	do
		err = pthread_cond_timedwait(&came, &lock, &until);
	while (err == 0);
	assert_int_equal(err, ETIMEDOUT);
	until = after_ns(CLOCK_MONOTONIC, WAITED_NS);
	do
		err = pthread_cond_clockwait(&came, &lock, CLOCK_MONOTONIC, &until);
	while (err == 0);
	assert_int_equal(err, ETIMEDOUT);
	assert_in_range(clock_monotonic_ns() - start_ns, 2 * WAITED_NS, LATE_NS);
	assert_int_equal(pthread_mutex_unlock(&lock), 0);
}

/* ---- cancellation ---- */

static pthread_mutex_t cleanup_held = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool cleaned_up;

static void clean_up(void *mutex)
{
	/* It waits here, and no longer for the condition. */
	pthread_mutex_lock(&cleanup_held);
	pthread_mutex_unlock(&cleanup_held);
	assert_int_equal(pthread_mutex_unlock(mutex), 0);
	atomic_store(&cleaned_up, true);
}

static void wait_and_clean_up(void)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(clean_up, &lock);
	for (;;)
		pthread_cond_wait(&came, &lock);
	pthread_cleanup_pop(1);
}

static void test_a_wait_can_be_cancelled(void **state)
{
	pthread_t thread;
	void *result;

	(void)state;
#ifdef SICKBAY_SAN
	skip(); /* ASan does not notice that the cancelled thread's frames are gone */
#endif
	pthread_mutex_lock(&cleanup_held);
	thread = named_thread_start("cancelled", wait_and_clean_up);
	named_thread_await("cancelled", "pthread_cond_wait");
	pthread_cancel(thread);
	named_thread_await("cancelled", "pthread_mutex_lock");
	pthread_mutex_unlock(&cleanup_held);
	pthread_join(thread, &result);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_true(atomic_load(&cleaned_up));
	/* It was locked again for the handler, and the handler unlocked it. */
	assert_int_equal(pthread_mutex_trylock(&lock), 0);
	pthread_mutex_unlock(&lock);
}

static int forget(void **state)
{
	(void)state;
	has_come = false;
	atomic_store(&cond_waits, 0);
	atomic_store(&contended_unlocks, 0);
	return 0;
}

static int set_up(void **state)
{
	static const struct probe_wait_listener listener = {
		PROBE_WAITS_FOR_THREADS, on_wait_end, on_contended_unlock};

	(void)state;
	probe_thread_init();
	probe_wait_subscribe(&listener);
	return modules_init();
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_signal_wakes),
		TEST(test_waiting_unlocks_for_others),
		TEST(test_a_condition_keeps_its_clock),
		TEST(test_a_wait_gives_up),
		TEST(test_a_wait_can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
