#include "../support/read_dump.h"
#include "../support/test.h"

#include <pthread.h>
#include <sched.h>

#include "common/clock.h"
#include "diag/thread_snapshot.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define CROWD 500

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t signal_came = PTHREAD_COND_INITIALIZER;
static bool signalled;
static int waiting_count;
static pthread_t threads[CROWD];

static TEST_FRAME void wait_for_signal(void)
{
	pthread_mutex_lock(&signal_lock);
	waiting_count++;
	while (!signalled)
		pthread_cond_wait(&signal_came, &signal_lock);
	waiting_count--;
	pthread_mutex_unlock(&signal_lock);
}

static int current_waiting_count(void)
{
	int count;

	pthread_mutex_lock(&signal_lock);
	count = waiting_count;
	pthread_mutex_unlock(&signal_lock);
	return count;
}

static void start_waiting(int count)
{
	int64_t end_ns = clock_monotonic_ns() + 20 * CLOCK_NS_PER_SEC;

	for (int i = 0; i < count; i++)
		threads[i] = named_thread_start("crowd", wait_for_signal);
	while (current_waiting_count() < count) {
		assert_true(clock_monotonic_ns() < end_ns);
		sched_yield();
	}
}

static void stop_waiting(int count)
{
	pthread_mutex_lock(&signal_lock);
	signalled = true;
	pthread_cond_broadcast(&signal_came);
	pthread_mutex_unlock(&signal_lock);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	signalled = false;
}

static struct thread_snapshot *take(void)
{
	struct thread_snapshot *snapshot;

	assert_int_equal(thread_snapshot_take(PROBE_DUMP_ALL, &snapshot), 0);
	return snapshot;
}

static void test_a_wait_goes_on_between_two_snapshots(void **state)
{
	struct thread_snapshot *first, *second;

	(void)state;
	start_waiting(3);
	first = take();
	second = take();
	assert_int_equal(first->thread_count, 4);
	for (int i = 1; i < 4; i++) {
		const struct thread_view *a = &first->threads[i];
		const struct thread_view *b = thread_snapshot_find(second, a->tid);

		assert_ptr_equal(b, &second->threads[i]);
		assert_int_equal(a->number, b->number);
		assert_string_equal(a->name, "crowd");
		assert_string_equal(a->state, "futex wait");
		assert_true(a->waited_ns > 0 && b->time_ns > a->time_ns);
		assert_int_equal(b->waited_ns - a->waited_ns, b->time_ns - a->time_ns);
	}
	assert_int_equal(first->threads[0].waited_ns, -1);
	assert_string_equal(first->threads[0].state, "running");
	assert_null(thread_snapshot_find(first, 0));
	thread_snapshot_free(first);
	thread_snapshot_free(second);
	stop_waiting(3);
}

static void test_a_crowd_has_few_stacks(void **state)
{
	struct thread_snapshot *snapshot;

	(void)state;
	start_waiting(CROWD);
	snapshot = take();
	assert_int_equal(snapshot->thread_count, CROWD + 1);
	assert_in_range(snapshot->stack_count, 2, 10);
	for (size_t i = 0; i < snapshot->thread_count; i++)
		assert_true(snapshot->threads[i].stack < snapshot->stack_count);
	thread_snapshot_free(snapshot);
	stop_waiting(CROWD);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wait_goes_on_between_two_snapshots),
		cmocka_unit_test(test_a_crowd_has_few_stacks),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
