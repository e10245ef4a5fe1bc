/*
 * The heap profile's two forms say the same: its legacy text, read by the rules that pprof
 * publishes, and its proto. And both can say that more was freed than allocated.
 */
#include "../support/read_profile.h"
#include "../support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diag/heap.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define RATE_BYTES 4096
#define BLOCKS 32768
#define MIB (1024.0 * 1024.0)

/* ---- a reader of the text: pprof's parseHeap() and scaleHeapSample(), from their description ---- */

struct line {
	long long values[HEAP_VALUES];
};

static bool read_counts(const char *text, struct line *line)
{
	return sscanf(text, "%lld: %lld [%lld: %lld] @", &line->values[HEAP_INUSE_OBJECTS],
		       &line->values[HEAP_INUSE_BYTES], &line->values[HEAP_ALLOC_OBJECTS],
		       &line->values[HEAP_ALLOC_BYTES]) == HEAP_VALUES;
}

/* Objects and bytes, as sampled, to what they stand for. */
static void scale(const long long *sampled, double rate_bytes, double *estimates)
{
	double factor;

	if (sampled[0] == 0 || sampled[1] == 0)
		return;
	factor = 1 / (1 - exp(-((double)sampled[1] / (double)sampled[0]) / rate_bytes));
	estimates[0] += (double)sampled[0] * factor;
	estimates[1] += (double)sampled[1] * factor;
}

static void read_text(const char *text, double totals[HEAP_VALUES])
{
	struct line sum = {{0}}, header, line;
	long long twice_rate_bytes;

	assert_true(read_counts(text + strlen("heap profile: "), &header));
	assert_int_equal(sscanf(strstr(text, "@ heap/"), "@ heap/%lld", &twice_rate_bytes), 1);
	while ((text = strchr(text, '\n'))) {
		/* sscanf() would skip an empty line, and read the next one twice. */
		if (*++text == '\n' || !read_counts(text, &line))
			continue;
		for (int i = HEAP_ALLOC_OBJECTS; i < HEAP_VALUES; i += HEAP_INUSE_OBJECTS)
			scale(&line.values[i], (double)twice_rate_bytes / 2, &totals[i]);
		for (int i = 0; i < HEAP_VALUES; i++)
			sum.values[i] += line.values[i];
	}
	/* The header sums what the lines round. */
	for (int i = 0; i < HEAP_VALUES; i++)
		assert_true(llabs(sum.values[i] - header.values[i]) <=
			    llabs(header.values[i]) / 100 + 100);
}

static struct read_profile *encode(const struct heap_snapshot *snapshot)
{
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(heap_encode(snapshot, 0, false, &out), 0);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	return profile;
}

static void assert_forms_agree(const struct heap_snapshot *snapshot)
{
	struct read_profile *profile = encode(snapshot);
	struct strbuf text = STRBUF_INIT;
	double totals[HEAP_VALUES] = {0};

	heap_print(snapshot, &text);
	read_text(text.data, totals);
	for (int i = 0; i < HEAP_VALUES; i++) {
		double wanted = (double)read_profile_total(profile, i);

		print_message("value %d: text %.0f, proto %.0f\n", i, totals[i], wanted);
		assert_true(fabs(totals[i] - wanted) <= fabs(wanted) / 100);
	}
	strbuf_free(&text);
	read_profile_close(profile);
}

/* ---- what can be said without a sampler: a snapshot made by hand ---- */

#define ENTRIES 3

/* COUNT samples of SIZE_BYTES each, weighed as the sampler weighs them. */
static void put_samples(double *values, double count, double size_bytes)
{
	double chance = 1 - exp(-size_bytes / RATE_BYTES);

	values[0] = count / chance;
	values[1] = count / chance * size_bytes;
}

static struct heap_snapshot *make_snapshot(void)
{
	static const struct {
		double size_bytes, inuse_count, alloc_count;
	} sampled[ENTRIES] = {{64, 300, 900}, {5000, 7, 9}, {1 << 20, 0, 3}};
	struct heap_snapshot *snapshot = calloc(
		1, sizeof(*snapshot) + ENTRIES * sizeof(snapshot->entries[0]));

	snapshot->rate_bytes = RATE_BYTES;
	snapshot->entry_count = ENTRIES;
	for (int i = 0; i < ENTRIES; i++) {
		struct heap_entry *entry = &snapshot->entries[i];

		put_samples(&entry->values[HEAP_ALLOC_OBJECTS], sampled[i].alloc_count,
			sampled[i].size_bytes);
		put_samples(&entry->values[HEAP_INUSE_OBJECTS], sampled[i].inuse_count,
			sampled[i].size_bytes);
		entry->pcs[0] = (uintptr_t)make_snapshot + (uintptr_t)i;
		entry->pc_count = 1;
	}
	return snapshot;
}

static void test_text_holds_the_samples_as_taken(void **state)
{
	struct heap_snapshot *snapshot = make_snapshot();
	struct strbuf text = STRBUF_INIT;

	(void)state;
	heap_print(snapshot, &text);
	assert_memory_equal(text.data, "heap profile: 307: 54200 [912: 3248328] @ heap/8192\n", 52);
	assert_non_null(strstr(text.data, "\n300: 19200 [900: 57600] @"));
	assert_non_null(strstr(text.data, "\n7: 35000 [9: 45000] @"));
	assert_non_null(strstr(text.data, "\n0: 0 [3: 3145728] @"));
	strbuf_free(&text);
	assert_forms_agree(snapshot);
	free(snapshot);
}

static void test_a_negative_difference_is_encoded(void **state)
{
	struct heap_snapshot *before = make_snapshot(), *after = make_snapshot();
	struct read_profile *profile;

	(void)state;
	/* All of the first stack's is freed; of the last one's, something is kept. */
	memset(&after->entries[0].values[HEAP_INUSE_OBJECTS], 0, 2 * sizeof(double));
	after->entries[2].values[HEAP_INUSE_OBJECTS] = 2;
	after->entries[2].values[HEAP_INUSE_BYTES] = 2000;
	heap_snapshot_subtract(after, before);
	profile = encode(after);
	assert_int_equal(read_profile_total(profile, HEAP_ALLOC_OBJECTS), 0);
	assert_int_equal(read_profile_total(profile, HEAP_INUSE_OBJECTS),
		2 - llround(before->entries[0].values[HEAP_INUSE_OBJECTS]));
	assert_int_equal(read_profile_total(profile, HEAP_INUSE_BYTES),
		2000 - llround(before->entries[0].values[HEAP_INUSE_BYTES]));
	assert_forms_agree(after);
	read_profile_close(profile);
	free(before);
	free(after);
}

/* ---- and with one ---- */

#ifndef SICKBAY_SAN
static void *blocks[BLOCKS];

static TEST_FRAME void keep_blocks(size_t size_bytes)
{
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(size_bytes);
		/* Waits for the books: at this rate a burst would outrun the unwinder. */
		if (i % 1024 == 0)
			free(heap_snapshot());
	}
}

static void free_blocks(void)
{
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
}

static void test_the_forms_agree_on_a_real_heap(void **state)
{
	struct heap_snapshot *snapshot;

	(void)state;
	keep_blocks(100);
	free_blocks();
	keep_blocks(700);
	snapshot = heap_snapshot();
	assert_true(heap_snapshot_total(snapshot, HEAP_INUSE_BYTES) > 20 * MIB);
	assert_forms_agree(snapshot);
	free(snapshot);
	free_blocks();
}

static void test_what_is_freed_meanwhile_is_negative(void **state)
{
	struct heap_snapshot *before, *after;
	struct read_profile *profile;
	int64_t inuse_bytes;

	(void)state;
	keep_blocks(512); /* 16 MiB */
	before = heap_snapshot();
	free_blocks();
	after = heap_snapshot();
	heap_snapshot_subtract(after, before);
	profile = encode(after);
	inuse_bytes = read_profile_cumulative(profile, HEAP_INUSE_BYTES, "keep_blocks");
	assert_true(fabs((double)inuse_bytes + 16 * MIB) < 2 * MIB);
	assert_int_equal(read_profile_cumulative(profile, HEAP_ALLOC_BYTES, "keep_blocks"), 0);
	read_profile_close(profile);
	free(before);
	free(after);
}
#endif

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	if (modules_init() != 0)
		return -1;
#ifndef SICKBAY_SAN
	return heap_sampler_start(RATE_BYTES);
#else
	return 0;
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_holds_the_samples_as_taken),
		cmocka_unit_test(test_a_negative_difference_is_encoded),
#ifndef SICKBAY_SAN
		cmocka_unit_test(test_the_forms_agree_on_a_real_heap),
		cmocka_unit_test(test_what_is_freed_meanwhile_is_negative),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
