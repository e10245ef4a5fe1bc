#include "read_contention.h"

#include "test.h"

#include <string.h>

#include "common/clock.h"
#include "probe/symbolize.h"

#define DEADLINE_NS (10 * CLOCK_NS_PER_SEC)

struct contention_snapshot *read_contention_take(enum contention_kind kind)
{
	struct contention_snapshot *snapshot;

	assert_int_equal(contention_snapshot(kind, &snapshot), 0);
	return snapshot;
}

struct contention_snapshot *read_contention_since(const struct contention_snapshot *old)
{
	struct contention_snapshot *snapshot = read_contention_take(old->kind);

	contention_snapshot_subtract(snapshot, old);
	return snapshot;
}

static bool pc_is_in(uintptr_t pc, const char *function)
{
	const struct probe_symbol *symbol = probe_symbolize(pc);

	for (size_t i = 0; i < symbol->frame_count; i++)
		if (strcmp(symbol->frames[i].function, function) == 0)
			return true;
	return false;
}

static void add(struct contention_entry *sum, const struct contention_entry *entry)
{
	sum->contention_count += entry->contention_count;
	sum->delay_ns += entry->delay_ns;
}

struct contention_entry read_contention_sum(
	const struct contention_snapshot *snapshot, const char *leaf, const char *caller)
{
	struct contention_entry sum = {0};

	for (size_t i = 0; i < snapshot->entry_count; i++) {
		const struct contention_entry *entry = &snapshot->entries[i];
		const struct depot_stack *stack = entry->stack;

		if (stack && stack->pc_count > 1 && pc_is_in(stack->pcs[0], leaf) &&
			pc_is_in(stack->pcs[1], caller))
			add(&sum, entry);
	}
	return sum;
}

struct contention_entry read_contention_cumulative(
	const struct contention_snapshot *snapshot, const char *function)
{
	struct contention_entry sum = {0};

	for (size_t i = 0; i < snapshot->entry_count; i++) {
		const struct contention_entry *entry = &snapshot->entries[i];
		size_t pc_count = entry->stack ? entry->stack->pc_count : 0, k = 0;

		while (function && k < pc_count && !pc_is_in(entry->stack->pcs[k], function))
			k++;
		if (!function || k < pc_count)
			add(&sum, entry);
	}
	return sum;
}

void read_contention_await(
	enum contention_kind kind, const char *leaf, const char *caller, double count)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;
	double seen_count;

	do {
		struct contention_snapshot *snapshot = read_contention_take(kind);

		assert_true(clock_monotonic_ns() < end_ns);
		seen_count = read_contention_sum(snapshot, leaf, caller).contention_count;
		free(snapshot);
	} while (seen_count < count);
}
