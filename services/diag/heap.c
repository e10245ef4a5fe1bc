#include "diag/heap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "diag/heap_internal.h"
#include "diag/profile.h"
#include "diag/stack_text.h"
#include "probe/symbolize.h"
#include "probe/thread.h"

/* The hooks, the allocator's inside and its entry point together are fewer frames than this. */
#define ALLOCATOR_DEPTH_MAX 12

size_t heap_skip_allocator(const uintptr_t *pcs, size_t pc_count)
{
	size_t skip = 0;

	for (size_t i = 0; i < pc_count && i < ALLOCATOR_DEPTH_MAX; i++) {
		const struct probe_module *module = probe_symbolize(pcs[i])->module;

		if (module && strstr(module->path, "/libtcmalloc"))
			skip = i + 1;
	}
	return skip;
}

/* Rounds; a difference may be negative: more was freed than allocated. */
static void whole_values(const double estimates[HEAP_VALUES], int64_t values[HEAP_VALUES])
{
	for (int i = 0; i < HEAP_VALUES; i++)
		values[i] = llround(estimates[i]);
}

static bool is_empty(const struct heap_entry *entry)
{
	int64_t values[HEAP_VALUES];

	whole_values(entry->values, values);
	for (int i = 0; i < HEAP_VALUES; i++)
		if (values[i] != 0)
			return false;
	return true;
}

/*
 * Stacks only ever get added, at the end: entry I of an older snapshot is entry I of a newer one.
 */
void heap_snapshot_subtract(struct heap_snapshot *new, const struct heap_snapshot *old)
{
	for (size_t i = 0; i < old->entry_count && i < new->entry_count; i++)
		for (int k = 0; k < HEAP_VALUES; k++)
			new->entries[i].values[k] -= old->entries[i].values[k];
	new->lost_count -= old->lost_count;
}

double heap_snapshot_total(const struct heap_snapshot *snapshot, enum heap_value value)
{
	double total = 0;

	for (size_t i = 0; i < snapshot->entry_count; i++)
		total += snapshot->entries[i].values[value];
	return total;
}

static void add_entry(struct profile *profile, const struct heap_entry *entry)
{
	int64_t values[HEAP_VALUES];
	struct profile_label size = {.key = "bytes", .unit = "bytes"};

	whole_values(entry->values, values);
	/* As Go does: the mean size of what was allocated there. */
	if (values[HEAP_ALLOC_OBJECTS] > 0)
		size.number = values[HEAP_ALLOC_BYTES] / values[HEAP_ALLOC_OBJECTS];
	profile_add_sample(profile, entry->pcs, entry->pc_count, values, &size, 1);
}

int heap_encode(const struct heap_snapshot *snapshot, int64_t duration_ns, bool show_alloc,
	struct strbuf *out)
{
	struct strbuf comment = STRBUF_INIT;
	struct profile *profile;
	int err;

	probe_observe_begin();
	profile = profile_create(&(struct profile_config){
		.values = {{"alloc_objects", "count"}, {"alloc_space", "bytes"},
			{"inuse_objects", "count"}, {"inuse_space", "bytes"}},
		.value_count = HEAP_VALUES,
		.period_type = {"space", "bytes"},
		.period = (int64_t)snapshot->rate_bytes,
		.default_type = show_alloc ? "alloc_space" : "inuse_space",
	});
	profile_set_time(profile, snapshot->time_ns, duration_ns);
	if (snapshot->lost_count > 0) {
		strbuf_printf(&comment, "%llu samples found no room and have no stack",
			(unsigned long long)snapshot->lost_count);
		profile_set_comment(profile, comment.data);
	}
	for (size_t i = 0; i < snapshot->entry_count; i++)
		if (!is_empty(&snapshot->entries[i]))
			add_entry(profile, &snapshot->entries[i]);
	err = profile_encode(profile, out);
	profile_free(profile);
	strbuf_free(&comment);
	probe_observe_end();
	return err;
}

static int by_inuse_then_alloc(const void *a, const void *b)
{
	const struct heap_entry *const *x = a, *const *y = b;

	for (int i = HEAP_INUSE_BYTES; i >= HEAP_ALLOC_BYTES;
		i -= HEAP_INUSE_BYTES - HEAP_ALLOC_BYTES)
		if ((*x)->values[i] != (*y)->values[i])
			return (*x)->values[i] < (*y)->values[i] ? 1 : -1;
	return 0;
}

/*
 * Readers of the text scale it up themselves, by the mean size of each line: what they find must be
 * the samples as they were taken, before our own scaling.
 */
static void unscale(
	const double estimates[HEAP_VALUES], size_t rate_bytes, double samples[HEAP_VALUES])
{
	for (int i = HEAP_ALLOC_OBJECTS; i < HEAP_VALUES; i += HEAP_INUSE_OBJECTS) {
		double objects = estimates[i], bytes = estimates[i + 1], chance = 1;

		if (objects != 0 && rate_bytes > 1)
			chance = -expm1(-bytes / objects / (double)rate_bytes);
		samples[i] = objects * chance;
		samples[i + 1] = bytes * chance;
	}
}

static void print_counts(struct strbuf *out, const double samples[HEAP_VALUES])
{
	int64_t values[HEAP_VALUES];

	whole_values(samples, values);
	strbuf_printf(out, "%lld: %lld [%lld: %lld] @", (long long)values[HEAP_INUSE_OBJECTS],
		(long long)values[HEAP_INUSE_BYTES], (long long)values[HEAP_ALLOC_OBJECTS],
		(long long)values[HEAP_ALLOC_BYTES]);
}

static void print_entry(struct strbuf *out, const struct heap_entry *entry, size_t rate_bytes)
{
	double samples[HEAP_VALUES];

	unscale(entry->values, rate_bytes, samples);
	print_counts(out, samples);
	stack_text_addresses(out, entry->pcs, entry->pc_count);
	stack_text_comments(out, entry->pcs, entry->pc_count);
	strbuf_puts(out, "\n");
}

static void sum_samples(const struct heap_snapshot *snapshot, double totals[HEAP_VALUES])
{
	double samples[HEAP_VALUES];

	for (size_t i = 0; i < snapshot->entry_count; i++) {
		unscale(snapshot->entries[i].values, snapshot->rate_bytes, samples);
		for (int k = 0; k < HEAP_VALUES; k++)
			totals[k] += samples[k];
	}
}

void heap_print(const struct heap_snapshot *snapshot, struct strbuf *out)
{
	const struct heap_entry **sorted;
	double totals[HEAP_VALUES] = {0};
	size_t count = 0;

	probe_observe_begin();
	sum_samples(snapshot, totals);
	strbuf_puts(out, "heap profile: ");
	print_counts(out, totals);
	/* Go writes twice the rate here; readers halve it. */
	strbuf_printf(out, " heap/%zu\n", 2 * snapshot->rate_bytes);
	sorted = xcalloc(snapshot->entry_count + 1, sizeof(*sorted));
	for (size_t i = 0; i < snapshot->entry_count; i++)
		if (!is_empty(&snapshot->entries[i]))
			sorted[count++] = &snapshot->entries[i];
	if (count > 0)
		qsort(sorted, count, sizeof(*sorted), by_inuse_then_alloc);
	for (size_t i = 0; i < count; i++)
		print_entry(out, sorted[i], snapshot->rate_bytes);
	free(sorted);
	probe_observe_end();
}
