/* The waits that have not ended yet: read off a snapshot of the threads. */
#include <stdlib.h>

#include "common/alloc.h"
#include "diag/contention_internal.h"
#include "diag/thread_snapshot.h"
#include "probe/wait.h"

static const struct depot_stack *stack_of(
	const struct thread_snapshot *snapshot, const struct thread_view *view)
{
	const struct thread_stack *stack = &snapshot->stacks[view->stack];

	return contention_stack(stack->pcs, stack->pc_count);
}

static void add_waiters(const struct thread_snapshot *snapshot, struct contention_sums *sums)
{
	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct thread_view *view = &snapshot->threads[i];

		if (view->wait.call && view->wait.call->kind <= PROBE_WAIT_THREAD)
			contention_add(sums, stack_of(snapshot, view), 1, (double)view->waited_ns);
	}
}

struct contended_mutex {
	const void *mutex;
	int64_t waited_ns;
	unsigned waiter_count;
};

struct contended_mutexes {
	size_t count;
	struct contended_mutex mutexes[PROBE_CONTENDED_MAX];
};

/* With the table of mutexes locked: nothing here may wait for anything. */
static void note_mutex(const void *mutex, int64_t waited_ns, unsigned waiter_count, void *context)
{
	struct contended_mutexes *list = context;

	list->mutexes[list->count++] = (struct contended_mutex){mutex, waited_ns, waiter_count};
}

/* Any of those who wait for it, and knows who has it. */
static const struct thread_view *find_waiter(
	const struct thread_snapshot *snapshot, const void *mutex)
{
	for (size_t i = 0; i < snapshot->thread_count; i++)
		if (snapshot->threads[i].mutex_owner != 0 &&
			snapshot->threads[i].wait.object == mutex)
			return &snapshot->threads[i];
	return NULL;
}

/* Where the holder is now; or, of one that has no stack here, where it locked the mutex. */
static const struct depot_stack *stack_of_holder(
	const struct thread_snapshot *snapshot, const struct thread_view *waiter)
{
	const struct thread_view *holder = thread_snapshot_find(snapshot, waiter->mutex_owner);

	if (holder && snapshot->stacks[holder->stack].pc_count > 0)
		return stack_of(snapshot, holder);
	return probe_depot_put(&waiter->locked_at, waiter->locked_at ? 1 : 0);
}

/*
 * How long was waited is asked after the stacks: who unlocked in between took its share into the
 * books, and what is left is small, whoever gets it.
 */
static void add_holders(const struct thread_snapshot *snapshot, struct contention_sums *sums)
{
	struct contended_mutexes *list = xcalloc(1, sizeof(*list));

	probe_contended_for_each(note_mutex, list);
	for (size_t i = 0; i < list->count; i++) {
		const struct contended_mutex *contended = &list->mutexes[i];
		const struct thread_view *waiter = find_waiter(snapshot, contended->mutex);

		if (waiter)
			contention_add(sums, stack_of_holder(snapshot, waiter),
				contended->waiter_count, (double)contended->waited_ns);
	}
	free(list);
}

int contention_add_waiting(enum contention_kind kind, struct contention_sums *sums)
{
	struct thread_snapshot *snapshot;
	int err = thread_snapshot_take(PROBE_DUMP_PROGRAM, &snapshot);

	if (err)
		return err;
	if (kind == CONTENTION_BLOCK)
		add_waiters(snapshot, sums);
	else
		add_holders(snapshot, sums);
	thread_snapshot_free(snapshot);
	return 0;
}
