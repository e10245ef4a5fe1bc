#include "diag/contention.h"

#include <math.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "diag/profile.h"
#include "diag/stack_text.h"
#include "probe/thread.h"

static double difference(double new, double old)
{
	return new > old ? new - old : 0;
}

/* Stacks are numbered for good, and both are in the order of these numbers. */
void contention_snapshot_subtract(
	struct contention_snapshot *new, const struct contention_snapshot *old)
{
	const struct contention_entry *before = old->entries, *end = before + old->entry_count;

	for (size_t i = 0; i < new->entry_count; i++) {
		struct contention_entry *entry = &new->entries[i];

		while (before < end && before->stack != entry->stack &&
			(!before->stack ||
				(entry->stack && before->stack->number < entry->stack->number)))
			before++;
		if (before == end)
			break;
		if (before->stack != entry->stack)
			continue;
		entry->contention_count = difference(
			entry->contention_count, before->contention_count);
		entry->delay_ns = difference(entry->delay_ns, before->delay_ns);
	}
	new->lost_count -= new->lost_count < old->lost_count ? new->lost_count : old->lost_count;
}

static bool is_empty(const struct contention_entry *entry)
{
	return llround(entry->contention_count) == 0 && llround(entry->delay_ns) == 0;
}

static size_t pc_count_of(const struct contention_entry *entry)
{
	return entry->stack ? entry->stack->pc_count : 0;
}

static const uintptr_t *pcs_of(const struct contention_entry *entry)
{
	return entry->stack ? entry->stack->pcs : NULL;
}

static void print_lost(const struct contention_snapshot *snapshot, struct strbuf *out)
{
	strbuf_printf(out, "%llu samples have no stack: there was no room, or no answer",
		(unsigned long long)snapshot->lost_count);
}

int contention_encode(
	const struct contention_snapshot *snapshot, int64_t duration_ns, struct strbuf *out)
{
	struct strbuf comment = STRBUF_INIT;
	struct profile *profile;
	int err;

	probe_observe_begin();
	profile = profile_create(&(struct profile_config){
		.values = {{"contentions", "count"}, {"delay", "nanoseconds"}},
		.value_count = 2,
		.period_type = {"contentions", "count"},
		.period = 1,
	});
	profile_set_time(profile, snapshot->time_ns, duration_ns);
	if (snapshot->lost_count > 0) {
		print_lost(snapshot, &comment);
		profile_set_comment(profile, comment.data);
	}
	for (size_t i = 0; i < snapshot->entry_count; i++) {
		const struct contention_entry *entry = &snapshot->entries[i];
		const int64_t values[] = {
			llround(entry->contention_count), llround(entry->delay_ns)};

		if (!is_empty(entry))
			profile_add_sample(
				profile, pcs_of(entry), pc_count_of(entry), values, NULL, 0);
	}
	err = profile_encode(profile, out);
	profile_free(profile);
	strbuf_free(&comment);
	probe_observe_end();
	return err;
}

static int by_delay(const void *a, const void *b)
{
	const struct contention_entry *const *x = a, *const *y = b;

	if ((*x)->delay_ns != (*y)->delay_ns)
		return (*x)->delay_ns < (*y)->delay_ns ? 1 : -1;
	return 0;
}

static void print_entry(struct strbuf *out, const struct contention_entry *entry)
{
	strbuf_printf(
		out, "%lld %lld @", llround(entry->delay_ns), llround(entry->contention_count));
	stack_text_addresses(out, pcs_of(entry), pc_count_of(entry));
	stack_text_comments(out, pcs_of(entry), pc_count_of(entry));
	strbuf_puts(out, "\n");
}

void contention_print(const struct contention_snapshot *snapshot, struct strbuf *out)
{
	const struct contention_entry **sorted;
	size_t count = 0;

	probe_observe_begin();
	strbuf_printf(out, "--- %s:\ncycles/second=%lld\n",
		snapshot->kind == CONTENTION_MUTEX ? "mutex" : "contention", CLOCK_NS_PER_SEC);
	/* Readers multiply by it; the numbers are scaled up already. */
	if (snapshot->kind == CONTENTION_MUTEX)
		strbuf_puts(out, "sampling period=1\n");
	if (snapshot->lost_count > 0) {
		strbuf_puts(out, "# ");
		print_lost(snapshot, out);
		strbuf_puts(out, "\n");
	}
	sorted = xcalloc(snapshot->entry_count + 1, sizeof(*sorted));
	for (size_t i = 0; i < snapshot->entry_count; i++)
		if (!is_empty(&snapshot->entries[i]))
			sorted[count++] = &snapshot->entries[i];
	if (count > 0)
		qsort(sorted, count, sizeof(*sorted), by_delay);
	for (size_t i = 0; i < count; i++)
		print_entry(out, sorted[i]);
	free(sorted);
	probe_observe_end();
}
