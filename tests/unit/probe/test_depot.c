#include "../support/test.h"

#include <pthread.h>

#include "probe/depot.h"

#define THREADS 4
#define STACKS 500

static void test_equal_stacks_are_one(void **state)
{
	uintptr_t a[] = {1, 2, 3}, b[] = {1, 2, 3};
	const struct depot_stack *stack = probe_depot_put(a, 3);

	(void)state;
	assert_non_null(stack);
	assert_int_equal(stack->pc_count, 3);
	assert_memory_equal(stack->pcs, b, sizeof(b));
	a[0] = 9; /* it has its own copy */
	assert_ptr_equal(probe_depot_put(b, 3), stack);
	assert_memory_equal(stack->pcs, b, sizeof(b));
}

static void test_other_stacks_are_others(void **state)
{
	const uintptr_t pcs[] = {1, 2, 3, 0}, swapped[] = {2, 1, 3}, last[] = {1, 2, 4};
	const struct depot_stack *stacks[] = {
		probe_depot_put(pcs, 1),
		probe_depot_put(pcs, 2),
		probe_depot_put(pcs, 3),
		probe_depot_put(pcs, 4),
		probe_depot_put(swapped, 3),
		probe_depot_put(last, 3),
	};

	(void)state;
	for (size_t i = 0; i < 6; i++)
		for (size_t k = 0; k < i; k++) {
			assert_ptr_not_equal(stacks[i], stacks[k]);
			assert_int_not_equal(stacks[i]->number, stacks[k]->number);
		}
	assert_ptr_equal(probe_depot_put(swapped, 3), stacks[4]);
}

static void test_an_empty_stack_is_none(void **state)
{
	const uintptr_t pc = 1;

	(void)state;
	assert_null(probe_depot_put(&pc, 0));
}

static void *put_main(void *arg)
{
	const struct depot_stack **stacks = arg;

	for (uintptr_t i = 0; i < STACKS; i++) {
		const uintptr_t pcs[] = {1000 + i, 5};

		stacks[i] = probe_depot_put(pcs, 2);
	}
	return NULL;
}

static void test_threads_put_the_same(void **state)
{
	static const struct depot_stack *stacks[THREADS][STACKS];
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, put_main, stacks[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 1; i < THREADS; i++)
		assert_memory_equal(stacks[i], stacks[0], sizeof(stacks[0]));
	for (size_t i = 0; i < STACKS; i++)
		assert_int_equal(stacks[0][i]->pcs[0], 1000 + i);
}

/* Fills it for good: must run last. */
static void test_the_depot_is_bounded(void **state)
{
	const uintptr_t known_pcs[] = {1, 2, 3};
	const struct depot_stack *known = probe_depot_put(known_pcs, 3), *stack, *last = known;
	size_t count = 0;

	(void)state;
	for (uintptr_t i = 0; i <= PROBE_DEPOT_STACKS_MAX; i++) {
		const uintptr_t pcs[] = {1000000 + i};

		stack = probe_depot_put(pcs, 1);
		if (!stack)
			break;
		assert_true(stack->number > last->number);
		last = stack;
		count++;
	}
	assert_null(stack);
	assert_int_equal(last->number, PROBE_DEPOT_STACKS_MAX - 1);
	assert_true(count > 0);
	assert_ptr_equal(probe_depot_put(known_pcs, 3), known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_stacks_are_one),
		cmocka_unit_test(test_other_stacks_are_others),
		cmocka_unit_test(test_an_empty_stack_is_none),
		cmocka_unit_test(test_threads_put_the_same),
		cmocka_unit_test(test_the_depot_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
