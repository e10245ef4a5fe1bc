/*
 * thread_snapshot: all threads with their stacks at one moment, kept: what every view of the
 * threads is made of.
 *
 * Shape:     threads oldest first, as probe/dump.h has them; stacks in the order in which they came.
 * Returns:   thread_snapshot_take() 0 or -errno.
 * Ownership: the caller's, thread_snapshot_free() (NULL is fine) ends it.
 * Thread:    MT-Safe; waits a few hundred ms at most for threads that do not answer: not on an event
 *            loop.
 */
#ifndef SICKBAY_DIAG_THREAD_SNAPSHOT_H
#define SICKBAY_DIAG_THREAD_SNAPSHOT_H

#include "probe/dump.h"

struct thread_view {
	uint64_t number;
	pid_t tid;
	char name[PROBE_NAME_BYTES];
	enum probe_answer answer;
	bool observer, truncated;
	const char *state; /* "futex wait", "running", "blocks SIGURG"; never NULL */
	int64_t time_ns;
	struct probe_wait wait;
	int64_t waited_ns; /* in this state, at time_ns; -1 if unknown */

	pid_t mutex_owner;   /* as in probe_dumped */
	uintptr_t locked_at; /* where the owner locked the mutex; 0 if unknown */

	uintptr_t created_by_pc;
	const struct depot_stack *created_by;

	size_t stack; /* of snapshot->stacks; equal stacks have the same number */
};

struct thread_stack {
	size_t pc_count; /* 0: of a thread that did not answer */
	const uintptr_t *pcs;
};

struct thread_snapshot {
	int64_t time_ns; /* wall clock */
	size_t thread_count;
	struct thread_view *threads;
	size_t stack_count;
	struct thread_stack *stacks;
};

int thread_snapshot_take(enum probe_dump_scope scope, struct thread_snapshot **snapshot)
	__attribute__((warn_unused_result));
/* The thread with that tid, or NULL. */
const struct thread_view *thread_snapshot_find(const struct thread_snapshot *snapshot, pid_t tid);
void thread_snapshot_free(struct thread_snapshot *snapshot);

#endif
