#include "../support/dlopen_storm.h"
#include "../support/test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "common/clock.h"
#include "probe/capture.h"
#include "probe/modules.h"
#include "probe/symbolize.h"
#include "probe/thread.h"
#include "probe/unwind.h"

static const char *name_of(uintptr_t pc)
{
	return probe_symbolize(pc)->frames[0].function;
}

static bool has_frame(const uintptr_t *pcs, size_t count, const char *function)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name_of(pcs[i]), function) == 0)
			return true;
	return false;
}

static TEST_FRAME size_t inner(uintptr_t *pcs)
{
	return probe_stack_here(pcs, PROBE_STACK_MAX);
}

static TEST_FRAME size_t outer(uintptr_t *pcs)
{
	size_t count = inner(pcs);

	return count;
}

static void test_own_stack(void **state)
{
	uintptr_t pcs[PROBE_STACK_MAX];
	size_t count = outer(pcs);

	(void)state;
	assert_true(count > 4);
	assert_string_equal(name_of(pcs[0]), "probe_stack_here");
	assert_string_equal(name_of(pcs[1]), "inner");
	assert_string_equal(name_of(pcs[2]), "outer");
	assert_string_equal(name_of(pcs[3]), "test_own_stack");
	assert_true(has_frame(pcs, count, "main"));
}

static int compare(const void *a, const void *b)
{
	static bool done;
	uintptr_t pcs[PROBE_STACK_MAX];
	size_t count;

	if (!done) {
		done = true;
		count = probe_stack_here(pcs, PROBE_STACK_MAX);
		assert_true(has_frame(pcs, count, "test_through_libc"));
	}
	return *(const int *)a - *(const int *)b;
}

/* A callback from inside libc, which keeps no frame pointers. */
static void test_through_libc(void **state)
{
	int numbers[] = {3, 1, 2};

	(void)state;
	qsort(numbers, 3, sizeof(int), compare);
	assert_int_equal(numbers[0], 1);
}

/* ---- a ring, filled from a signal handler ---- */

static struct probe_ring *ring;
static atomic_size_t seen_count, named_count;

static void on_stack(const struct probe_stack *stack, void *context)
{
	assert_ptr_equal(context, &seen_count);
	assert_int_equal(stack->tag, 7);
	atomic_fetch_add(&seen_count, 1);
	if (has_frame(stack->pcs, stack->pc_count, "raise_here"))
		atomic_fetch_add(&named_count, 1);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	probe_ring_capture_sigsafe(ring, context, 7);
}

static TEST_FRAME void raise_here(void)
{
	raise(SIGUSR1);
}

static void open_ring(size_t slot_count)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

	atomic_store(&seen_count, 0);
	atomic_store(&named_count, 0);
	assert_int_equal(probe_ring_create("test", slot_count, on_stack, &seen_count, &ring), 0);
	sigaction(SIGUSR1, &action, NULL);
}

static void test_a_handler_captures_who_it_interrupted(void **state)
{
	(void)state;
	open_ring(64);
	for (int i = 0; i < 50; i++)
		raise_here();
	probe_ring_flush(ring);
	assert_int_equal(atomic_load(&seen_count), 50);
	assert_int_equal(atomic_load(&named_count), 50);
	assert_int_equal(probe_ring_dropped_count(ring), 0);
	probe_ring_destroy(ring);
}

static void *flood_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		raise_here();
	return NULL;
}

static void test_a_full_ring_drops_and_counts(void **state)
{
	pthread_t threads[4];

	(void)state;
	open_ring(4);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, flood_main, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	probe_ring_flush(ring);
	assert_true(probe_ring_dropped_count(ring) > 0);
	assert_int_equal(atomic_load(&seen_count) + probe_ring_dropped_count(ring), 80000);
	assert_int_equal(atomic_load(&named_count), atomic_load(&seen_count));
	probe_ring_destroy(ring);
}

/* ---- dlopen beside it: where unwinding in the handler deadlocks ---- */

static void test_captures_beside_dlopen_neither_hang_nor_lose_frames(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + (test_is_stress() ? 30 : 2) * CLOCK_NS_PER_SEC;
	size_t dlopen_count;

	(void)state;
	open_ring(64);
	dlopen_storm_start();
	while (clock_monotonic_ns() < end_ns) {
		raise_here();
		for (int i = 0; i < DLOPEN_STORM_THREADS; i++)
			pthread_kill(dlopen_storm_thread(i), SIGUSR1);
		probe_ring_flush(ring);
	}
	dlopen_count = dlopen_storm_stop();
	probe_ring_flush(ring);
	print_message("%zu stacks beside %zu dlopens\n", atomic_load(&seen_count), dlopen_count);
	assert_true(atomic_load(&named_count) > 50);
	assert_true(atomic_load(&seen_count) <= 3 * atomic_load(&named_count));
	probe_ring_destroy(ring);
}

/* ---- copies that make no sense ---- */

static void test_hostile_copies_end_early(void **state)
{
	uint8_t bytes[512];
	uintptr_t pcs[PROBE_STACK_MAX];
	static struct stack_copy copy = {.start = 0x1000, .size_bytes = sizeof(bytes)};
	unsigned random = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			random = random * 1103515245 + 12345;
			bytes[i] = (uint8_t)(random >> 16);
		}
		memcpy(copy.words, bytes, sizeof(bytes));
		for (int i = 0; i < ARCH_REGS_MAX; i++)
			memcpy(&copy.regs.dwarf[i], bytes + 8 * i, 8);
		copy.regs.pc = round % 2 ? (uintptr_t)test_hostile_copies_end_early + random % 64
					 : copy.regs.dwarf[0];
		copy.regs.sp = copy.start + (random >> 8) % 600;
		assert_in_range(unwind_walk(&copy, pcs, PROBE_STACK_MAX), 1, PROBE_STACK_MAX);
	}
}

static TEST_FRAME size_t recurse(int depth, uintptr_t *pcs)
{
	volatile char frame[256];
	size_t count;

	frame[depth % 256] = 0; /* makes the frame as large as it says */
	count = depth ? recurse(depth - 1, pcs) : probe_stack_here(pcs, PROBE_STACK_MAX);
	return count + (size_t)frame[depth % 256];
}

static void test_deep_stacks_are_cut(void **state)
{
	uintptr_t pcs[PROBE_STACK_MAX];

	(void)state;
	assert_in_range(recurse(1000, pcs), 30, PROBE_STACK_MAX);
	assert_string_equal(name_of(pcs[5]), "recurse");
}

/* ---- a lazy ring ---- */

static atomic_uint wanted_tag;

static bool is_wanted(uint64_t tag, void *context)
{
	assert_ptr_equal(context, &seen_count);
	return tag == atomic_load(&wanted_tag);
}

static void count_stack(const struct probe_stack *stack, void *context)
{
	(void)context;
	if (stack->pc_count > 0)
		atomic_fetch_add(&seen_count, 1);
}

static void test_a_lazy_ring_unwinds_what_is_still_wanted(void **state)
{
	struct probe_ring *lazy;

	(void)state;
	atomic_store(&seen_count, 0);
	assert_int_equal(probe_ring_create("lazy", 8, count_stack, &seen_count, &lazy), 0);
	probe_ring_be_lazy(lazy, is_wanted);
	for (unsigned tag = 0; tag < 3; tag++)
		assert_true(probe_ring_capture_sigsafe(lazy, NULL, tag));
	atomic_store(&wanted_tag, 2);
	probe_ring_flush(lazy);
	assert_int_equal(atomic_load(&seen_count), 1);
	/* Four fill one half, and nobody asks. */
	for (int i = 0; i < 4; i++)
		assert_true(probe_ring_capture_sigsafe(lazy, NULL, 2));
	while (atomic_load(&seen_count) < 5)
		sched_yield();
	for (unsigned i = 0; i < 10000; i++) {
		assert_true(probe_ring_capture_sigsafe(lazy, NULL, 2));
		if (i % 3 == 0)
			probe_ring_flush(lazy);
	}
	probe_ring_flush(lazy);
	assert_int_equal(atomic_load(&seen_count), 10005);
	probe_ring_destroy(lazy);
}

static void *capture_in_a_hurry(void *lazy)
{
	int64_t end_ns = clock_monotonic_ns() + 200 * CLOCK_NS_PER_MS;

	while (clock_monotonic_ns() < end_ns)
		(void)probe_ring_capture_sigsafe(lazy, NULL, 0);
	return NULL;
}

/* Whoever is the last to fill the slot that all wait for, at whatever place in the ring. */
static void test_a_lazy_ring_gets_over_a_burst_by_itself(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + 10 * CLOCK_NS_PER_SEC;
	struct probe_ring *lazy;
	pthread_t threads[4];

	(void)state;
	atomic_store(&wanted_tag, 1);
	for (int round = 0; round < 5; round++) {
		assert_int_equal(probe_ring_create("lazy", 16, count_stack, &seen_count, &lazy), 0);
		probe_ring_be_lazy(lazy, is_wanted);
		for (int i = 0; i < 4; i++)
			pthread_create(&threads[i], NULL, capture_in_a_hurry, lazy);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		while (!probe_ring_capture_sigsafe(lazy, NULL, 0))
			assert_true(clock_monotonic_ns() < end_ns);
		probe_ring_destroy(lazy);
	}
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
		cmocka_unit_test(test_own_stack),
		cmocka_unit_test(test_through_libc),
		cmocka_unit_test(test_a_handler_captures_who_it_interrupted),
		cmocka_unit_test(test_a_full_ring_drops_and_counts),
		cmocka_unit_test(test_captures_beside_dlopen_neither_hang_nor_lose_frames),
		cmocka_unit_test(test_hostile_copies_end_early),
		cmocka_unit_test(test_deep_stacks_are_cut),
		cmocka_unit_test(test_a_lazy_ring_unwinds_what_is_still_wanted),
		cmocka_unit_test(test_a_lazy_ring_gets_over_a_burst_by_itself),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
