#include "../support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "probe/modules.h"
#include "probe/symbolize.h"
#include "probe/thread.h"

static atomic_size_t start_count, end_count;

static void on_start(struct probe_thread *thread)
{
	assert_int_equal(thread->tid, gettid());
	atomic_fetch_add(&start_count, 1);
}

static void on_end(struct probe_thread *thread)
{
	assert_int_equal(thread->tid, gettid());
	atomic_fetch_add(&end_count, 1);
}

static void *answer(void *arg)
{
	const struct probe_thread *self = probe_thread_self();
	int here;

	assert_non_null(self);
	assert_true((uintptr_t)&here > self->stack_start && (uintptr_t)&here < self->stack_end);
	assert_string_equal(probe_symbolize(self->created_by_pc)->frames[0].function, "start_one");
	return arg;
}

static TEST_FRAME pthread_t start_one(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, answer, &start_count), 0);
	return thread;
}

static void test_a_thread_is_in_the_list_while_it_lives(void **state)
{
	size_t before = probe_thread_count();
	void *result;

	(void)state;
	atomic_store(&start_count, 0);
	atomic_store(&end_count, 0);
	pthread_join(start_one(), &result);
	assert_ptr_equal(result, &start_count);
	assert_int_equal(atomic_load(&start_count), 1);
	assert_int_equal(atomic_load(&end_count), 1);
	assert_int_equal(probe_thread_count(), before);
}

static void test_the_main_thread_is_in_the_list(void **state)
{
	(void)state;
	assert_non_null(probe_thread_self());
	assert_int_equal(probe_thread_self()->tid, getpid());
	assert_int_equal(probe_thread_self()->created_by_pc, 0);
}

static void *exit_early(void *arg)
{
	pthread_exit(arg);
}

static void *births_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < (test_is_stress() ? 20000 : 1000); i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, exit_early, NULL), 0);
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void count_visit(struct probe_thread *thread, void *context)
{
	assert_true(thread->tid > 0);
	++*(size_t *)context;
}

static void test_births_and_deaths_while_others_look(void **state)
{
	size_t before = probe_thread_count(), visited;
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, births_main, NULL);
	for (int i = 0; i < 2000; i++) {
		visited = 0;
		probe_thread_for_each(count_visit, &visited);
		assert_true(visited >= before);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(probe_thread_count(), before);
}

static void *observer_main(void *arg)
{
	bool *observing = arg;

	*observing = probe_observing();
	/* It was started by one. */
	assert_true(probe_thread_self()->observer);
	probe_observe_begin();
	assert_true(probe_observing());
	probe_observe_begin();
	probe_observe_end();
	assert_true(probe_observing());
	probe_observe_end();
	assert_false(probe_observing());
	probe_thread_observe();
	assert_true(probe_observing() && probe_thread_self()->observer);
	return NULL;
}

static void test_observing_nests_and_is_the_threads_own(void **state)
{
	bool observing = true;
	pthread_t thread;

	(void)state;
	probe_observe_begin();
	pthread_create(&thread, NULL, observer_main, &observing);
	pthread_join(thread, NULL);
	probe_observe_end();
	assert_false(observing);
	assert_false(probe_observing());
}

static int set_up(void **state)
{
	static const struct probe_thread_listener listener = {on_start, on_end};

	(void)state;
	probe_thread_init();
	probe_thread_subscribe(&listener);
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_thread_is_in_the_list_while_it_lives),
		cmocka_unit_test(test_the_main_thread_is_in_the_list),
		cmocka_unit_test(test_births_and_deaths_while_others_look),
		cmocka_unit_test(test_observing_nests_and_is_the_threads_own),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
