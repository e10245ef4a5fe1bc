/* The views of threads.h that put equal stacks together, as text. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/hash_index.h"
#include "diag/creator.h"
#include "diag/stack_text.h"
#include "diag/threads.h"

struct group {
	int64_t thread_count;
	struct thread_stack stack;
};

struct grouping {
	const char *title;
	struct thread_stack (*stack_of)(
		const struct thread_snapshot *snapshot, const struct thread_view *view);
	struct group *groups;
	size_t group_count;
	struct hash_index index; /* of groups, by their stacks */
	int64_t total_count;
};

static bool has_stack(const void *context, size_t entry, const void *key)
{
	const struct thread_stack *known = &((const struct group *)context)[entry].stack;
	const struct thread_stack *wanted = key;

	return known->pc_count == wanted->pc_count &&
	       (known->pc_count == 0 || memcmp(known->pcs, wanted->pcs,
						known->pc_count * sizeof(known->pcs[0])) == 0);
}

static struct group *group_of(struct grouping *grouping, const struct thread_stack *stack)
{
	uint64_t hash = hash_bytes(HASH_SEED, stack->pcs, stack->pc_count * sizeof(stack->pcs[0]));
	size_t known = hash_index_find(&grouping->index, hash, has_stack, grouping->groups, stack);

	if (known == HASH_INDEX_NONE) {
		known = grouping->group_count++;
		grouping->groups[known].stack = *stack;
		hash_index_add(&grouping->index, hash, known);
	}
	return &grouping->groups[known];
}

/* COUNT: what each of the threads counts. */
static void count_threads(
	struct grouping *grouping, const struct thread_snapshot *snapshot, int count)
{
	for (size_t i = 0; i < snapshot->thread_count; i++) {
		struct thread_stack stack = grouping->stack_of(snapshot, &snapshot->threads[i]);

		group_of(grouping, &stack)->thread_count += count;
		grouping->total_count += count;
	}
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->thread_count != y->thread_count)
		return x->thread_count < y->thread_count ? 1 : -1;
	return x->stack.pcs < y->stack.pcs ? -1 : x->stack.pcs > y->stack.pcs;
}

static void print_group(const struct group *group, struct strbuf *out)
{
	strbuf_printf(out, "%" PRId64 " @", group->thread_count);
	if (group->stack.pc_count == 0) {
		/* Readers of this text refuse all of it for a line without an address. */
		strbuf_puts(out, " 0x0\n#\t0x0\t(no stack; debug=2 says why)\n\n");
		return;
	}
	stack_text_addresses(out, group->stack.pcs, group->stack.pc_count);
	stack_text_comments(out, group->stack.pcs, group->stack.pc_count);
	strbuf_puts(out, "\n");
}

static void print(struct grouping *grouping, const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out)
{
	size_t thread_count = snapshot->thread_count + (before ? before->thread_count : 0);

	grouping->groups = xcalloc(thread_count + 1, sizeof(grouping->groups[0]));
	count_threads(grouping, snapshot, 1);
	if (before)
		count_threads(grouping, before, -1);
	qsort(grouping->groups, grouping->group_count, sizeof(grouping->groups[0]), compare_groups);
	strbuf_printf(
		out, "%s profile: total %" PRId64 "\n", grouping->title, grouping->total_count);
	for (size_t i = 0; i < grouping->group_count; i++)
		if (grouping->groups[i].thread_count != 0)
			print_group(&grouping->groups[i], out);
	free(grouping->groups);
	hash_index_free(&grouping->index);
}

static struct thread_stack own_stack(
	const struct thread_snapshot *snapshot, const struct thread_view *view)
{
	return snapshot->stacks[view->stack];
}

void threads_print_groups(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out)
{
	print(&(struct grouping){.title = "thread", .stack_of = own_stack}, before, snapshot, out);
}

static struct thread_stack creators_stack(
	const struct thread_snapshot *snapshot, const struct thread_view *view)
{
	(void)snapshot;
	return creator_stack(view->created_by, &view->created_by_pc);
}

void threads_print_creators(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out)
{
	print(&(struct grouping){.title = "threadcreate", .stack_of = creators_stack}, before,
		snapshot, out);
}
