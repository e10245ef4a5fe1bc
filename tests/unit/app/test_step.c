/* The switch: one step per request, whole, and nobody lost on the way. */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "app/call.h"
#include "common/clock.h"

#define REQUEST_THREADS 4
#define GOTO_THREADS 2

static atomic_bool stop;
static atomic_size_t served_count;
static atomic_int unexpected_errno;

static void test_bad_steps_are_refused(void **state)
{
	bool fixed;

	(void)state;
	assert_int_equal(step_switch(-1, false), -EINVAL);
	assert_int_equal(step_switch(STEP_COUNT, false), -EINVAL);
	assert_int_equal(step_current(&fixed), 0);
	assert_int_equal(step_switch(6, true), 0);
	assert_int_equal(step_current(&fixed), 6);
	assert_true(fixed);
	assert_int_equal(step_switch(0, false), 0);
	assert_int_equal(step_current(&fixed), 0);
	assert_false(fixed);
}

/* cmocka's assertions belong to the main thread. */
static void note_unexpected(int err)
{
	atomic_store(&unexpected_errno, -err);
}

static void note_unless(int expected, int err)
{
	if (err != 0 && err != expected)
		note_unexpected(err);
}

static void *request_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		struct fault_call call = {.turn = {0}};

		step_begin(&call.turn);
		if (call.turn.fault != step_fault(call.turn.step))
			note_unexpected(-EINVAL);
		/* Five threads a request: the machine may have no more. Nor is there an upstream. */
		if (call.turn.step == STEP_OF_fault_connection_leak)
			note_unless(-ECONNREFUSED, call.turn.fault->serve(&call));
		else
			note_unless(-EAGAIN, call.turn.fault->serve(&call));
		step_end(&call.turn);
		atomic_fetch_add(&served_count, 1);
	}
	return NULL;
}

static void *goto_main(void *arg)
{
	unsigned random = (unsigned)(uintptr_t)arg + 1;

	while (!atomic_load(&stop)) {
		random = random * 1103515245 + 12345;
		/* Whoever is late (the machine is busy) does not stop the next switch. */
		note_unless(
			-ETIMEDOUT, step_switch((int)(random >> 16) % STEP_COUNT, random >> 31));
	}
	return NULL;
}

static void test_requests_and_switches_at_once(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + (test_is_stress() ? 20 : 2) * CLOCK_NS_PER_SEC;
	pthread_t threads[REQUEST_THREADS + GOTO_THREADS];

	(void)state;
	fault_upstream_url = "http://127.0.0.1:1";
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < REQUEST_THREADS + GOTO_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
					 i < REQUEST_THREADS ? request_main : goto_main, (void *)i),
			0);
	while (clock_monotonic_ns() < end_ns)
		sched_yield();
	atomic_store(&stop, true);
	/* A request may hang in a step that nobody leaves any more. */
	for (int i = REQUEST_THREADS; i < REQUEST_THREADS + GOTO_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(step_switch(0, false), 0);
	for (int i = 0; i < REQUEST_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&unexpected_errno), 0);
	print_message("%zu requests\n", atomic_load(&served_count));
	assert_true(atomic_load(&served_count) > 0);
	/* A count that was lost would make this one wait in vain. */
	for (int step = 0; step < STEP_COUNT; step++)
		assert_int_equal(step_switch(step, false), 0);
	assert_int_equal(step_switch(0, false), 0);
}

static void test_a_switch_waits_for_the_old_step_and_goes_on_later(void **state)
{
	struct step_turn turn, during;

	(void)state;
	assert_int_equal(step_switch(6, false), 0);
	step_begin(&turn);
	assert_int_equal(turn.step, 6);
	assert_false(step_released(&turn));
	assert_int_equal(step_switch(3, false), -ETIMEDOUT);
	assert_true(step_released(&turn));
	step_begin(&during);
	assert_int_equal(during.step, 0);
	step_end(&during);
	step_end(&turn);
	assert_int_equal(step_switch(3, false), 0);
	assert_int_equal(step_switch(0, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_steps_are_refused),
		cmocka_unit_test(test_requests_and_switches_at_once),
		cmocka_unit_test(test_a_switch_waits_for_the_old_step_and_goes_on_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
