#include "../support/read_profile.h"
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "diag/heap.h"
#include "probe/modules.h"
#include "probe/thread.h"

#ifdef SICKBAY_SAN

/* A sanitizer build has its own malloc: there is nothing to hook into. */
static void test_without_tcmalloc_it_says_so(void **state)
{
	struct heap_snapshot *snapshot;

	(void)state;
	assert_int_equal(heap_sampler_start(HEAP_RATE_DEFAULT_BYTES), -ENOTSUP);
	assert_null(heap_snapshot());
	assert_int_equal(heap_exact_start(), -ENOTSUP);
	assert_int_equal(heap_exact_stop(), -ENOTSUP);
	assert_int_equal(heap_exact_snapshot(&snapshot), -ENOTSUP);
}

#else

#define MIB (1024.0 * 1024.0)
#define BLOCKS 65536
#define BLOCK_BYTES 512 /* 32 MiB in blocks far smaller than the sampling distance */

static void *blocks[BLOCKS];

/* Waits for the books: at the rates of these tests a burst would outrun the unwinder. */
static void catch_up(int i)
{
	if (i % 1024 == 0)
		free(heap_snapshot());
}

static TEST_FRAME void keep_blocks(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		catch_up(i);
	}
}

static TEST_FRAME void free_blocks(void)
{
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
}

static TEST_FRAME void churn_blocks(int count)
{
	for (int i = 0; i < count; i++) {
		void *volatile block = malloc(BLOCK_BYTES);

		free(block);
		catch_up(i);
	}
}

static TEST_FRAME void *grow_buffer(size_t size_bytes)
{
	void *buffer = NULL;

	for (size_t at = 65536; at <= size_bytes; at *= 2)
		buffer = realloc(buffer, at);
	return buffer;
}

static struct read_profile *take(void)
{
	struct heap_snapshot *snapshot = heap_snapshot();
	struct read_profile *profile;
	struct strbuf out = STRBUF_INIT;

	assert_non_null(snapshot);
	assert_int_equal(heap_encode(snapshot, 0, false, &out), 0);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	free(snapshot);
	return profile;
}

static double mib_of(enum heap_value value, const char *function)
{
	struct read_profile *profile = take();
	int64_t sum = read_profile_cumulative(profile, value, function);

	read_profile_close(profile);
	print_message("%s: value %d is %.2f MiB\n", function, value, (double)sum / MIB);
	return (double)sum / MIB;
}

static void assert_about(double value, double truth, double percent)
{
	assert_true(value > truth * (1 - percent / 100) && value < truth * (1 + percent / 100));
}

/*
 * One sample in 4 KiB makes 8192 of them: the estimate's own spread is 1.1 percent, so that 5
 * cannot flicker.
 */
static void test_small_blocks_are_estimated(void **state)
{
	(void)state;
	assert_int_equal(heap_sampler_start(4096), 0);
	keep_blocks();
	assert_about(mib_of(HEAP_INUSE_BYTES, "keep_blocks"), 32, 5);
	assert_about(mib_of(HEAP_ALLOC_BYTES, "keep_blocks"), 32, 5);
	free_blocks();
	assert_true(mib_of(HEAP_INUSE_BYTES, "keep_blocks") < 0.01);
	assert_about(mib_of(HEAP_ALLOC_BYTES, "keep_blocks"), 32, 5);
}

static void test_churn_is_allocated_but_not_in_use(void **state)
{
	(void)state;
	churn_blocks(100000);
	assert_about(mib_of(HEAP_ALLOC_BYTES, "churn_blocks"), 100000 * BLOCK_BYTES / MIB, 5);
	assert_true(mib_of(HEAP_INUSE_BYTES, "churn_blocks") < 0.01);
}

static void test_a_growing_buffer_at_the_default_rate(void **state)
{
	void *buffer;

	(void)state;
	assert_int_equal(heap_sampler_start(HEAP_RATE_DEFAULT_BYTES), 0);
	buffer = grow_buffer(64 << 20);
	assert_about(mib_of(HEAP_INUSE_BYTES, "grow_buffer"), 64, 1);
	assert_about(mib_of(HEAP_ALLOC_BYTES, "grow_buffer"), 128, 2);
	free(buffer);
	assert_true(mib_of(HEAP_INUSE_BYTES, "grow_buffer") < 0.01);
}

static void test_the_leaf_is_who_called_malloc(void **state)
{
	struct read_profile *profile;
	void *buffer;

	(void)state;
	buffer = grow_buffer(8 << 20);
	profile = take();
	assert_int_equal(read_profile_cumulative(profile, HEAP_INUSE_BYTES, "tc_realloc"), 0);
	assert_int_equal(read_profile_cumulative(profile, HEAP_INUSE_BYTES, "on_new"), 0);
	read_profile_close(profile);
	free(buffer);
}

static void test_observers_are_left_out(void **state)
{
	double before = mib_of(HEAP_ALLOC_BYTES, "grow_buffer");
	void *buffer;

	(void)state;
	probe_observe_begin();
	buffer = grow_buffer(64 << 20);
	probe_observe_end();
	assert_true(mib_of(HEAP_ALLOC_BYTES, "grow_buffer") - before < 0.01);
	free(buffer);
}

static void test_the_sampler_can_be_switched(void **state)
{
	double before;

	(void)state;
	assert_int_equal(heap_sampler_start(HEAP_RATE_MIN_BYTES - 1), -EINVAL);
	heap_sampler_stop();
	assert_false(heap_sampler_running());
	before = mib_of(HEAP_ALLOC_BYTES, "grow_buffer");
	free(grow_buffer(64 << 20));
	assert_true(mib_of(HEAP_ALLOC_BYTES, "grow_buffer") - before < 0.01);
	assert_int_equal(heap_sampler_start(HEAP_RATE_DEFAULT_BYTES), 0);
	free(grow_buffer(64 << 20));
	/* Its blocks of 1 and 2 MiB are missed now and then: that is what sampling is. */
	assert_about(mib_of(HEAP_ALLOC_BYTES, "grow_buffer") - before, 128, 5);
}

static void *allocate_while_off_and_on(void *arg)
{
	pthread_barrier_t *barrier = arg;
	void *small;

	free(grow_buffer(4 << 20));
	pthread_barrier_wait(barrier); /* the sampler is off */
	pthread_barrier_wait(barrier); /* and on again */
	small = malloc(16);
	pthread_barrier_wait(barrier);
	free(small);
	return NULL;
}

/* What a thread allocated while it was off must not make its next allocation a sample. */
static void test_switching_on_invents_nothing(void **state)
{
	struct heap_snapshot *before, *after;
	pthread_barrier_t barrier;
	pthread_t threads[32];

	(void)state;
	pthread_barrier_init(&barrier, NULL, 33);
	before = heap_snapshot();
	heap_sampler_stop();
	for (int i = 0; i < 32; i++)
		pthread_create(&threads[i], NULL, allocate_while_off_and_on, &barrier);
	pthread_barrier_wait(&barrier);
	assert_int_equal(heap_sampler_start(HEAP_RATE_DEFAULT_BYTES), 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	after = heap_snapshot();
	heap_snapshot_subtract(after, before);
	assert_true(heap_snapshot_total(after, HEAP_INUSE_BYTES) < 4 * MIB);
	for (int i = 0; i < 32; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	free(before);
	free(after);
}

static void test_a_difference_holds_what_came_in_between(void **state)
{
	struct heap_snapshot *before = heap_snapshot(), *after;
	void *buffer = grow_buffer(32 << 20);
	double grown;

	(void)state;
	after = heap_snapshot();
	heap_snapshot_subtract(after, before);
	grown = heap_snapshot_total(after, HEAP_INUSE_BYTES) / MIB;
	assert_about(grown, 32, 5);
	free(before);
	free(after);
	free(buffer);
}

static TEST_FRAME void burst(int count)
{
	for (int i = 0; i < count; i++) {
		void *volatile block = malloc(BLOCK_BYTES);

		free(block);
	}
}

/* Samples that found the ring full have no stack, but they are in the sums. */
static void test_a_burst_that_outruns_the_unwinder_still_counts(void **state)
{
	struct heap_snapshot *before = heap_snapshot(), *after;

	(void)state;
	assert_int_equal(heap_sampler_start(4096), 0);
	burst(1000000);
	after = heap_snapshot();
	assert_true(after->lost_count > before->lost_count);
	heap_snapshot_subtract(after, before);
	assert_about(
		heap_snapshot_total(after, HEAP_ALLOC_BYTES) / MIB, 1000000 * BLOCK_BYTES / MIB, 5);
	assert_true(heap_snapshot_total(after, HEAP_INUSE_BYTES) < 0.1 * MIB);
	free(before);
	free(after);
}

static void *hammer_main(void *arg)
{
	unsigned random = (unsigned)(uintptr_t)arg * 2654435761U + 1;
	void *mine[256] = {0};

	for (int i = 0; i < (test_is_stress() ? 5000000 : 500000); i++) {
		random = random * 1103515245 + 12345;
		free(mine[random >> 24]);
		mine[random >> 24] = malloc(16 + (random >> 12 & 4095));
	}
	for (int i = 0; i < 256; i++)
		free(mine[i]);
	return NULL;
}

static void test_threads_that_hammer_leave_nothing_in_use(void **state)
{
	pthread_t threads[8];

	(void)state;
	assert_int_equal(heap_sampler_start(HEAP_RATE_MIN_BYTES), 0);
	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, hammer_main, (void *)i);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_true(mib_of(HEAP_INUSE_BYTES, "hammer_main") < 0.01);
	assert_int_equal(heap_sampler_start(HEAP_RATE_DEFAULT_BYTES), 0);
}

static void test_text_is_as_go_prints_it(void **state)
{
	struct heap_snapshot *snapshot;
	struct strbuf out = STRBUF_INIT;
	void *buffer = grow_buffer(64 << 20);

	(void)state;
	snapshot = heap_snapshot();
	heap_print(snapshot, &out);
	assert_memory_equal(out.data, "heap profile: ", 14);
	assert_non_null(strstr(out.data, "] @ heap/1048576\n"));
	assert_non_null(strstr(out.data, "\tgrow_buffer+0x"));
	assert_non_null(strstr(out.data, "tests/unit/diag/test_heap.c:"));
	strbuf_free(&out);
	free(snapshot);
	free(buffer);
}

static void test_the_exact_profiler_sees_every_block(void **state)
{
	struct heap_snapshot *snapshot;
	double inuse = 0;
	void *kept[100];

	(void)state;
	assert_int_equal(heap_exact_stop(), -EBUSY);
	assert_int_equal(heap_exact_snapshot(&snapshot), -EBUSY);
	assert_int_equal(heap_exact_start(), 0);
	assert_int_equal(heap_exact_start(), -EBUSY);
	for (int i = 0; i < 100; i++)
		kept[i] = malloc(1000);
	assert_int_equal(heap_exact_snapshot(&snapshot), 0);
	for (size_t i = 0; i < snapshot->entry_count; i++)
		if (snapshot->entries[i].values[HEAP_INUSE_OBJECTS] == 100)
			inuse = snapshot->entries[i].values[HEAP_INUSE_BYTES];
	assert_int_equal((int)inuse, 100000);
	free(snapshot);
	assert_int_equal(heap_exact_stop(), 0);
	for (int i = 0; i < 100; i++)
		free(kept[i]);
}

#endif

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef SICKBAY_SAN
		cmocka_unit_test(test_without_tcmalloc_it_says_so),
#else
		cmocka_unit_test(test_small_blocks_are_estimated),
		cmocka_unit_test(test_churn_is_allocated_but_not_in_use),
		cmocka_unit_test(test_a_growing_buffer_at_the_default_rate),
		cmocka_unit_test(test_the_leaf_is_who_called_malloc),
		cmocka_unit_test(test_observers_are_left_out),
		cmocka_unit_test(test_the_sampler_can_be_switched),
		cmocka_unit_test(test_switching_on_invents_nothing),
		cmocka_unit_test(test_a_difference_holds_what_came_in_between),
		cmocka_unit_test(test_a_burst_that_outruns_the_unwinder_still_counts),
		cmocka_unit_test(test_threads_that_hammer_leave_nothing_in_use),
		cmocka_unit_test(test_text_is_as_go_prints_it),
		cmocka_unit_test(test_the_exact_profiler_sees_every_block),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
