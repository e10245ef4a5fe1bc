/* What listeners are told of waits, and how marks lie over each other. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "probe/wait_internal.h"

#define SHORT_NS (20 * CLOCK_NS_PER_MS)

static sem_t semaphore;

static struct timespec soon(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += SHORT_NS;
	until.tv_sec += until.tv_nsec / CLOCK_NS_PER_SEC;
	until.tv_nsec %= CLOCK_NS_PER_SEC;
	return until;
}

static atomic_int told_count[PROBE_WAIT_KINDS];
static _Atomic(int64_t) told_ns;

/* Does what it must not be able to spoil. */
static void on_wait_end(const struct probe_wait *wait, int64_t now_ns)
{
	atomic_fetch_add(&told_count[wait->call->kind], 1);
	atomic_store(&told_ns, now_ns - wait->since_ns);
	errno = EXDEV;
}

static int told_total(void)
{
	int total = 0;

	for (int kind = 0; kind < PROBE_WAIT_KINDS; kind++)
		total += atomic_load(&told_count[kind]);
	return total;
}

static int forget_told(void **state)
{
	(void)state;
	for (int kind = 0; kind < PROBE_WAIT_KINDS; kind++)
		atomic_store(&told_count[kind], 0);
	return 0;
}

static void test_errno_is_the_calls(void **state)
{
	struct timespec until = soon();
	int64_t start_ns = clock_monotonic_ns();

	(void)state;
	sem_init(&semaphore, 0, 1);
	errno = ENOTTY;
	assert_int_equal(sem_wait(&semaphore), 0);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(sem_timedwait(&semaphore, &until), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(atomic_load(&told_count[PROBE_WAIT_SEMAPHORE]), 2);
	assert_in_range(atomic_load(&told_ns), SHORT_NS / 2, clock_monotonic_ns() - start_ns);
}

static void poll_nothing(void)
{
	assert_int_equal(poll(NULL, 0, 1), 0);
}

static void test_a_listener_hears_its_kinds_alone(void **state)
{
	(void)state;
	poll_nothing();
	assert_int_equal(usleep(1), 0);
	assert_int_equal(told_total(), 0);
}

static void test_listeners_come_and_go(void **state)
{
	static const struct probe_wait_listener more[] = {
		{1U << PROBE_WAIT_IO, on_wait_end, NULL},
		{1U << PROBE_WAIT_IO | 1U << PROBE_WAIT_TIME, on_wait_end, NULL},
		{PROBE_WAITS_ALL, on_wait_end, NULL},
	};
	/* In any order, and more often than there is room for at once. */
	for (int round = 0; round < PROBE_WAIT_LISTENERS_MAX; round++) {
		for (int i = 0; i < 3; i++)
			probe_wait_subscribe(&more[(round + i) % 3]);
		forget_told(state);
		poll_nothing();
		assert_int_equal(told_total(), 3);
		probe_wait_unsubscribe(&more[0]);
		usleep(1);
		assert_int_equal(told_total(), 5);
		probe_wait_unsubscribe(&more[2]);
		poll_nothing();
		assert_int_equal(told_total(), 6);
		probe_wait_unsubscribe(&more[1]);
		poll_nothing();
		usleep(1);
		assert_int_equal(told_total(), 6);
	}
}

static const void *marked_object(void)
{
	const struct wait_mark *mark = &probe_thread_self()->wait_mark;

	assert_int_equal(atomic_load(&probe_thread_self()->wait_changes) % 2, 0);
	return mark->wait.call ? mark->wait.object : NULL;
}

/* Stacks grow down: the frame of a wait within a wait is the lower one. */
static void test_nested_waits_show_the_inner_one_first(void **state)
{
	static const struct probe_wait_call outer_call = {"outer", "", PROBE_WAIT_COND};
	static const struct probe_wait_call inner_call = {"inner", "", PROBE_WAIT_SEMAPHORE};
	struct wait_frame frames[2], *inner = &frames[0], *outer = &frames[1];

	(void)state;
	outer->mark.anchor.words[ANCHOR_SP] = (uintptr_t)outer;
	inner->mark.anchor.words[ANCHOR_SP] = (uintptr_t)inner;
	wait_begin(outer, &outer_call, &outer);
	assert_ptr_equal(marked_object(), &outer);
	wait_begin(inner, &inner_call, &inner);
	assert_ptr_equal(marked_object(), &inner);
	wait_end(inner);
	assert_ptr_equal(marked_object(), &outer);
	assert_int_equal(told_total(), 1);
	wait_end(outer);
	assert_null(marked_object());
	assert_int_equal(told_total(), 2);
}

/* As a handler does that leaves a wait by longjmp(). */
static void test_a_wait_that_was_jumped_out_of_is_forgotten(void **state)
{
	static const struct probe_wait_call call = {"call", "", PROBE_WAIT_IO};
	struct wait_frame frames[2], *left = &frames[0], *next = &frames[1];

	(void)state;
	left->mark.anchor.words[ANCHOR_SP] = (uintptr_t)left;
	next->mark.anchor.words[ANCHOR_SP] = (uintptr_t)next;
	wait_begin(left, &call, &left);
	wait_begin(next, &call, &next);
	assert_ptr_equal(marked_object(), &next);
	wait_end(next);
	assert_null(marked_object());
}

/* A handler that waits while its thread is just marking: no mark is better than a torn one. */
static void test_a_mark_that_is_being_written_is_left_alone(void **state)
{
	static const struct probe_wait_call call = {"call", "", PROBE_WAIT_IO};
	struct wait_frame frame;

	(void)state;
	atomic_fetch_add(&probe_thread_self()->wait_changes, 1);
	wait_begin(&frame, &call, &frame);
	assert_false(frame.is_marked);
	wait_end(&frame);
	atomic_fetch_sub(&probe_thread_self()->wait_changes, 1);
	assert_null(marked_object());
}

static void wait_shortly(void)
{
	struct timespec until = soon();

	while (sem_timedwait(&semaphore, &until) != 0 && errno == EINTR)
		;
}

static void observe_and_wait(void)
{
	probe_thread_observe();
	while (sem_wait(&semaphore) != 0)
		;
}

static void count_waiting(pid_t tid, const struct probe_wait *wait, void *context)
{
	(void)tid;
	(void)wait;
	++*(int *)context;
}

static void test_observers_are_nobodys_business(void **state)
{
	pthread_t observer;
	int waiting_count = 0;

	(void)state;
	sem_init(&semaphore, 0, 0);
	observer = named_thread_start("observer", observe_and_wait);
	named_thread_await("observer", "sem_wait");
	probe_wait_for_each(count_waiting, &waiting_count);
	assert_int_equal(waiting_count, 0);
	sem_post(&semaphore);
	pthread_join(observer, NULL);
	/* But this thread's wait for that one's end is. */
	assert_int_equal(atomic_load(&told_count[PROBE_WAIT_THREAD]), 1);
	probe_observe_begin();
	wait_shortly();
	probe_observe_end();
	assert_int_equal(told_total(), 1);
	wait_shortly();
	assert_int_equal(told_total(), 2);
}

static int set_up(void **state)
{
	static const struct probe_wait_listener listener = {
		PROBE_WAITS_FOR_THREADS, on_wait_end, NULL};

	(void)state;
	probe_thread_init();
	probe_wait_subscribe(&listener);
	return modules_init();
}

#define TEST(name) cmocka_unit_test_setup(name, forget_told)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_errno_is_the_calls),
		TEST(test_a_listener_hears_its_kinds_alone),
		TEST(test_listeners_come_and_go),
		TEST(test_nested_waits_show_the_inner_one_first),
		TEST(test_a_wait_that_was_jumped_out_of_is_forgotten),
		TEST(test_a_mark_that_is_being_written_is_left_alone),
		TEST(test_observers_are_nobodys_business),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
