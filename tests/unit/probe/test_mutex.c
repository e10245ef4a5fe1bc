/* Mutexes and conditions behind the interposers: the books, and libc's behaviour. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "probe/wait.h"

#define WAITED_NS (100 * CLOCK_NS_PER_MS)
/* What a loaded machine may add. */
#define LATE_NS (2 * CLOCK_NS_PER_SEC)

static void sleep_ns(int64_t ns)
{
	struct timespec left = {.tv_nsec = ns};

	while (nanosleep(&left, &left) != 0)
		;
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

/* ---- what the listener was told ---- */

static struct {
	atomic_int wait_count[PROBE_WAIT_KINDS];
	_Atomic(int64_t) waited_ns[PROBE_WAIT_KINDS];
	atomic_int unlock_count;
	_Atomic(int64_t) unlock_waited_ns, all_unlocks_waited_ns;
	atomic_uint waiter_count;
	_Atomic(pid_t) unlock_tid;
} heard;

static void on_wait_end(const struct probe_wait *wait, int64_t now_ns)
{
	atomic_fetch_add(&heard.wait_count[wait->call->kind], 1);
	atomic_fetch_add(&heard.waited_ns[wait->call->kind], now_ns - wait->since_ns);
}

/* Keeps the first; those of the waiters come after. */
static void on_contended_unlock(int64_t waited_ns, unsigned waiter_count)
{
	atomic_fetch_add(&heard.all_unlocks_waited_ns, waited_ns);
	if (atomic_fetch_add(&heard.unlock_count, 1) > 0)
		return;
	atomic_store(&heard.unlock_waited_ns, waited_ns);
	atomic_store(&heard.waiter_count, waiter_count);
	atomic_store(&heard.unlock_tid, gettid());
}

static int forget_heard(void **state)
{
	(void)state;
	for (int kind = 0; kind < PROBE_WAIT_KINDS; kind++) {
		atomic_store(&heard.wait_count[kind], 0);
		atomic_store(&heard.waited_ns[kind], 0);
	}
	atomic_store(&heard.unlock_count, 0);
	atomic_store(&heard.unlock_waited_ns, 0);
	atomic_store(&heard.all_unlocks_waited_ns, 0);
	return 0;
}

/* ---- contention ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(int64_t) inside_ns; /* how long the waiters were in the call, together */

static TEST_FRAME void lock_and_unlock(void)
{
	int64_t start_ns = clock_monotonic_ns();

	assert_int_equal(pthread_mutex_lock(&lock), 0);
	atomic_fetch_add(&inside_ns, clock_monotonic_ns() - start_ns);
	assert_int_equal(pthread_mutex_unlock(&lock), 0);
}

static void test_a_wait_is_told_with_its_time(void **state)
{
	pthread_t waiter;

	(void)state;
	atomic_store(&inside_ns, 0);
	pthread_mutex_lock(&lock);
	waiter = named_thread_start("waiter", lock_and_unlock);
	named_thread_await("waiter", "pthread_mutex_lock");
	sleep_ns(WAITED_NS);
	assert_int_equal(atomic_load(&heard.wait_count[PROBE_WAIT_MUTEX]), 0);
	pthread_mutex_unlock(&lock);
	pthread_join(waiter, NULL);
	assert_int_equal(atomic_load(&heard.wait_count[PROBE_WAIT_MUTEX]), 1);
	assert_in_range(atomic_load(&heard.waited_ns[PROBE_WAIT_MUTEX]), WAITED_NS,
		atomic_load(&inside_ns));
}

static void test_uncontended_calls_tell_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(pthread_mutex_lock(&lock), 0);
		assert_int_equal(pthread_mutex_unlock(&lock), 0);
	}
	assert_int_equal(atomic_load(&heard.wait_count[PROBE_WAIT_MUTEX]), 0);
	assert_int_equal(atomic_load(&heard.unlock_count), 0);
}

static void test_the_holder_is_told_how_long_all_waited(void **state)
{
	pthread_t waiters[2];
	int64_t start_ns, sum_ns;

	(void)state;
	pthread_mutex_lock(&lock);
	start_ns = clock_monotonic_ns();
	waiters[0] = named_thread_start("first", lock_and_unlock);
	waiters[1] = named_thread_start("second", lock_and_unlock);
	named_thread_await("first", "pthread_mutex_lock");
	named_thread_await("second", "pthread_mutex_lock");
	sleep_ns(WAITED_NS);
	pthread_mutex_unlock(&lock);
	sum_ns = 2 * (clock_monotonic_ns() - start_ns);
	assert_in_range(atomic_load(&heard.unlock_waited_ns), 2 * WAITED_NS, sum_ns);
	assert_int_equal(atomic_load(&heard.waiter_count), 2);
	assert_int_equal(atomic_load(&heard.unlock_tid), gettid());
	for (int i = 0; i < 2; i++)
		pthread_join(waiters[i], NULL);
}

/* Who waited under one holder is not billed to the next: together they get what was waited. */
static void test_a_bill_is_paid_once(void **state)
{
	pthread_t waiters[2];

	(void)state;
	atomic_store(&inside_ns, 0);
	pthread_mutex_lock(&lock);
	waiters[0] = named_thread_start("first", lock_and_unlock);
	waiters[1] = named_thread_start("second", lock_and_unlock);
	named_thread_await("first", "pthread_mutex_lock");
	named_thread_await("second", "pthread_mutex_lock");
	sleep_ns(WAITED_NS);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < 2; i++)
		pthread_join(waiters[i], NULL);
	assert_in_range(
		atomic_load(&heard.all_unlocks_waited_ns), 2 * WAITED_NS, atomic_load(&inside_ns));
}

static void see_contended(
	const void *mutex, int64_t waited_ns, unsigned waiter_count, void *context)
{
	int64_t *seen_ns = context;

	if (mutex != &lock)
		return;
	assert_int_equal(waiter_count, 1);
	assert_int_equal(*seen_ns, 0);
	*seen_ns = waited_ns;
}

static void test_who_still_waits_is_seen(void **state)
{
	int64_t seen_ns = 0, start_ns = clock_monotonic_ns();
	pthread_t waiter;

	(void)state;
	pthread_mutex_lock(&lock);
	probe_contended_for_each(see_contended, &seen_ns);
	assert_int_equal(seen_ns, 0);
	waiter = named_thread_start("waiter", lock_and_unlock);
	named_thread_await("waiter", "pthread_mutex_lock");
	sleep_ns(WAITED_NS);
	probe_contended_for_each(see_contended, &seen_ns);
	assert_in_range(seen_ns, WAITED_NS, clock_monotonic_ns() - start_ns);
	pthread_mutex_unlock(&lock);
	pthread_join(waiter, NULL);
	seen_ns = 0;
	probe_contended_for_each(see_contended, &seen_ns);
	assert_int_equal(seen_ns, 0);
}

/* ---- where it was locked ---- */

static TEST_FRAME void lock_here(pthread_mutex_t *mutex)
{
	assert_int_equal(pthread_mutex_lock(mutex), 0);
}

static void assert_locked_in(const pthread_mutex_t *mutex, const char *function)
{
	uintptr_t pc = probe_locked_at(gettid(), mutex);

	assert_string_equal(pc ? read_dump_function(pc) : "nowhere", function);
}

static void test_the_line_that_locked(void **state)
{
	struct timespec until = after_ns(CLOCK_REALTIME, WAITED_NS);
	pthread_mutex_t mutexes[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		pthread_mutex_init(&mutexes[i], NULL);
		lock_here(&mutexes[i]);
	}
	for (int i = 0; i < 8; i++) {
		assert_locked_in(&mutexes[i], "lock_here");
		pthread_mutex_unlock(&mutexes[i]);
		assert_locked_in(&mutexes[i], "nowhere");
	}
	assert_int_equal(pthread_mutex_trylock(&lock), 0);
	assert_locked_in(&lock, "test_the_line_that_locked");
	pthread_mutex_unlock(&lock);
	assert_int_equal(pthread_mutex_timedlock(&lock, &until), 0);
	assert_locked_in(&lock, "test_the_line_that_locked");
	pthread_mutex_unlock(&lock);
}

/* ---- the kinds, as libc has them ---- */

static pthread_mutex_t special;

static void init_special(int type, int robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, robust);
	assert_int_equal(pthread_mutex_init(&special, &attr), 0);
	pthread_mutexattr_destroy(&attr);
}

static void test_recursive(void **state)
{
	(void)state;
	init_special(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
	lock_here(&special);
	assert_int_equal(pthread_mutex_lock(&special), 0);
	assert_int_equal(pthread_mutex_trylock(&special), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_mutex_unlock(&special), 0);
	/* One level is left. */
	assert_locked_in(&special, "lock_here");
	assert_int_equal(pthread_mutex_unlock(&special), 0);
	assert_int_equal(probe_locked_at(gettid(), &special), 0);
	assert_int_equal(pthread_mutex_destroy(&special), 0);
}

static void test_errorcheck(void **state)
{
	(void)state;
	init_special(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED);
	assert_int_equal(pthread_mutex_unlock(&special), EPERM);
	assert_int_equal(pthread_mutex_lock(&special), 0);
	assert_int_equal(pthread_mutex_lock(&special), EDEADLK);
	assert_int_equal(pthread_mutex_trylock(&special), EBUSY);
	assert_int_equal(pthread_mutex_unlock(&special), 0);
	assert_int_equal(pthread_mutex_unlock(&special), EPERM);
	assert_int_equal(pthread_mutex_destroy(&special), 0);
}

static void *die_with_special(void *unused)
{
	assert_int_equal(pthread_mutex_lock(&special), 0);
	return unused;
}

static void test_robust(void **state)
{
	pthread_t thread;

	(void)state;
	init_special(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
	pthread_create(&thread, NULL, die_with_special, NULL);
	pthread_join(thread, NULL);
	assert_int_equal(pthread_mutex_lock(&special), EOWNERDEAD);
	/* That is a lock as well. */
	assert_locked_in(&special, "test_robust");
	assert_int_equal(pthread_mutex_consistent(&special), 0);
	assert_int_equal(pthread_mutex_unlock(&special), 0);
	assert_int_equal(pthread_mutex_lock(&special), 0);
	assert_int_equal(pthread_mutex_unlock(&special), 0);
	assert_int_equal(pthread_mutex_destroy(&special), 0);
}

static void try_while_held(void)
{
	struct timespec until = after_ns(CLOCK_REALTIME, WAITED_NS / 10);
	int64_t start_ns = clock_monotonic_ns();

	assert_int_equal(pthread_mutex_trylock(&lock), EBUSY);
	assert_int_equal(pthread_mutex_timedlock(&lock, &until), ETIMEDOUT);
	until = after_ns(CLOCK_MONOTONIC, WAITED_NS / 10);
	assert_int_equal(pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, &until), ETIMEDOUT);
	assert_true(clock_monotonic_ns() - start_ns >= 2 * (WAITED_NS / 10));
	assert_true(clock_monotonic_ns() - start_ns < LATE_NS);
	assert_int_equal(probe_locked_at(gettid(), &lock), 0);
	errno = 0;
}

static void test_locks_that_give_up(void **state)
{
	int64_t seen_ns = 0;
	pthread_t thread;

	(void)state;
	pthread_mutex_lock(&lock);
	thread = named_thread_start("impatient", try_while_held);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&heard.wait_count[PROBE_WAIT_MUTEX]), 2);
	probe_contended_for_each(see_contended, &seen_ns);
	assert_int_equal(seen_ns, 0);
	pthread_mutex_unlock(&lock);
	assert_int_equal(atomic_load(&heard.unlock_count), 0);
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

#define TEST(name) cmocka_unit_test_setup(name, forget_heard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_wait_is_told_with_its_time),
		TEST(test_uncontended_calls_tell_nothing),
		TEST(test_the_holder_is_told_how_long_all_waited),
		TEST(test_a_bill_is_paid_once),
		TEST(test_who_still_waits_is_seen),
		TEST(test_the_line_that_locked),
		TEST(test_recursive),
		TEST(test_errorcheck),
		TEST(test_robust),
		TEST(test_locks_that_give_up),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
