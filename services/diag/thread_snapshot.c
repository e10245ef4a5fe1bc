#include "diag/thread_snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/hash_index.h"
#include "diag/arena.h"
#include "probe/symbolize.h"
#include "probe/thread.h"

/* The public part comes first: one is the address of the other. */
struct owned {
	struct thread_snapshot snapshot;
	size_t thread_cap, stack_cap;
	struct hash_index stack_index;
	struct arena pcs;
};

static bool stack_equals(const void *context, size_t entry, const void *key)
{
	const struct thread_stack *stack = &((const struct thread_stack *)context)[entry];
	const struct probe_dumped *dumped = key;

	return stack->pc_count == dumped->pc_count &&
	       memcmp(stack->pcs, dumped->pcs, dumped->pc_count * sizeof(dumped->pcs[0])) == 0;
}

static size_t add_stack(struct owned *owned, const struct probe_dumped *dumped)
{
	struct thread_snapshot *snapshot = &owned->snapshot;
	size_t size_bytes = dumped->pc_count * sizeof(dumped->pcs[0]);
	uint64_t hash = hash_bytes(HASH_SEED, dumped->pcs, size_bytes);
	size_t known = hash_index_find(
		&owned->stack_index, hash, stack_equals, snapshot->stacks, dumped);
	uintptr_t *pcs;

	if (known != HASH_INDEX_NONE)
		return known;
	if (snapshot->stack_count == owned->stack_cap) {
		owned->stack_cap = owned->stack_cap ? 2 * owned->stack_cap : 64;
		snapshot->stacks = xrealloc(
			snapshot->stacks, owned->stack_cap, sizeof(snapshot->stacks[0]));
	}
	pcs = arena_alloc(&owned->pcs, dumped->pc_count, sizeof(dumped->pcs[0]));
	memcpy(pcs, dumped->pcs, size_bytes);
	snapshot->stacks[snapshot->stack_count] = (struct thread_stack){dumped->pc_count, pcs};
	hash_index_add(&owned->stack_index, hash, snapshot->stack_count);
	return snapshot->stack_count++;
}

/* The innermost function of a system call is libc's wrapper: "__read" says read. */
static const char *state_of_system_call(const struct probe_dumped *dumped)
{
	const struct probe_symbol *symbol = probe_symbolize(dumped->pcs[0]);
	const char *function = symbol->frames[symbol->frame_count - 1].function;

	if (strstr(function, "futex") || strstr(function, "lll_"))
		return "futex wait";
	return function + strspn(function, "_");
}

static const char *state_of(const struct probe_dumped *dumped)
{
	if (dumped->wait.call)
		return dumped->wait.call->state;
	if (dumped->answer != PROBE_ANSWERED)
		return "unknown";
	return dumped->in_system_call ? state_of_system_call(dumped) : "running";
}

static void add_thread(const struct probe_dumped *dumped, void *context)
{
	struct owned *owned = context;
	struct thread_snapshot *snapshot = &owned->snapshot;
	struct thread_view *view;

	if (snapshot->thread_count == owned->thread_cap) {
		owned->thread_cap = owned->thread_cap ? 2 * owned->thread_cap : 64;
		snapshot->threads = xrealloc(
			snapshot->threads, owned->thread_cap, sizeof(snapshot->threads[0]));
	}
	view = &snapshot->threads[snapshot->thread_count++];
	*view = (struct thread_view){
		.number = dumped->number,
		.tid = dumped->tid,
		.answer = dumped->answer,
		.observer = dumped->observer,
		.truncated = dumped->truncated,
		.state = state_of(dumped),
		.time_ns = dumped->time_ns,
		.wait = dumped->wait,
		.waited_ns = dumped->wait.call ? dumped->time_ns - dumped->wait.since_ns : -1,
		.mutex_owner = dumped->mutex_owner,
		.created_by_pc = dumped->created_by_pc,
		.created_by = dumped->created_by,
		.stack = add_stack(owned, dumped),
	};
	memcpy(view->name, dumped->name, sizeof(view->name));
}

/* Many wait for the same mutex: each is asked for once. */
static void find_where_locked(struct thread_snapshot *snapshot)
{
	const struct thread_view *previous = NULL;

	for (size_t i = 0; i < snapshot->thread_count; i++) {
		struct thread_view *view = &snapshot->threads[i];

		if (view->mutex_owner == 0)
			continue;
		if (previous && previous->mutex_owner == view->mutex_owner &&
			previous->wait.object == view->wait.object)
			view->locked_at = previous->locked_at;
		else
			view->locked_at = probe_locked_at(view->mutex_owner, view->wait.object);
		previous = view;
	}
}

int thread_snapshot_take(enum probe_dump_scope scope, struct thread_snapshot **snapshot)
{
	struct owned *owned;
	int err;

	probe_observe_begin();
	/* The creators of the youngest threads may still be on their way through the unwinder. */
	probe_births_flush();
	owned = xcalloc(1, sizeof(*owned));
	owned->snapshot.time_ns = clock_realtime_ns();
	err = probe_dump(scope, add_thread, owned);
	if (err) {
		thread_snapshot_free(&owned->snapshot);
	} else {
		find_where_locked(&owned->snapshot);
		*snapshot = &owned->snapshot;
	}
	probe_observe_end();
	return err;
}

const struct thread_view *thread_snapshot_find(const struct thread_snapshot *snapshot, pid_t tid)
{
	for (size_t i = 0; i < snapshot->thread_count; i++)
		if (snapshot->threads[i].tid == tid)
			return &snapshot->threads[i];
	return NULL;
}

void thread_snapshot_free(struct thread_snapshot *snapshot)
{
	struct owned *owned = (struct owned *)snapshot;

	if (!owned)
		return;
	probe_observe_begin();
	free(snapshot->threads);
	free(snapshot->stacks);
	hash_index_free(&owned->stack_index);
	arena_free(&owned->pcs);
	free(owned);
	probe_observe_end();
}
