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

static int64_t whole(double estimate)
{
	return estimate > 0.5 ? llround(estimate) : 0;
}

static void whole_values(const struct heap_entry *entry, int64_t values[HEAP_VALUES])
{
	for (int i = 0; i < HEAP_VALUES; i++)
		values[i] = whole(entry->values[i]);
}

static bool is_empty(const struct heap_entry *entry)
{
	return whole(entry->values[HEAP_ALLOC_OBJECTS]) == 0 &&
	       whole(entry->values[HEAP_INUSE_OBJECTS]) == 0;
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

	whole_values(entry, values);
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

static void print_counts(struct strbuf *out, const int64_t values[HEAP_VALUES])
{
	strbuf_printf(out, "%lld: %lld [%lld: %lld] @", (long long)values[HEAP_INUSE_OBJECTS],
		(long long)values[HEAP_INUSE_BYTES], (long long)values[HEAP_ALLOC_OBJECTS],
		(long long)values[HEAP_ALLOC_BYTES]);
}

static void print_entry(struct strbuf *out, const struct heap_entry *entry)
{
	int64_t values[HEAP_VALUES];

	whole_values(entry, values);
	print_counts(out, values);
	stack_text_addresses(out, entry->pcs, entry->pc_count);
	stack_text_comments(out, entry->pcs, entry->pc_count);
	strbuf_puts(out, "\n");
}

void heap_print(const struct heap_snapshot *snapshot, struct strbuf *out)
{
	const struct heap_entry **sorted;
	int64_t totals[HEAP_VALUES];
	size_t count = 0;

	probe_observe_begin();
	for (int i = 0; i < HEAP_VALUES; i++)
		totals[i] = whole(heap_snapshot_total(snapshot, (enum heap_value)i));
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
		print_entry(out, sorted[i]);
	free(sorted);
	probe_observe_end();
}
