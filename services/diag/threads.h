/*
 * threads: the views of a snapshot of all threads (thread_snapshot.h), or of what became of them since
 * an earlier one.
 *
 * Shape:     BEFORE NULL: the threads there are. Else the difference: a stack counts with the threads it
 *            has more than before, negative where it has less, and not at all where nothing changed. A
 *            thread that stands elsewhere now is one less there and one more here, as in Go. Both
 *            snapshots must have the same scope.
 * Thread:    MT-Safe; not AS-Safe (symbolizes).
 * Source:    the texts are Go's: panic and debug=2 output, and runtime/pprof's debug=1, with "thread"
 *            for "goroutine".
 */
#ifndef SICKBAY_DIAG_THREADS_H
#define SICKBAY_DIAG_THREADS_H

#include "common/strbuf.h"
#include "diag/thread_snapshot.h"

/*
 * Every thread: its tid, name, state and since when; what it waits for, and who has it; its stack;
 * the stack of its creator. With BEFORE: those that were born since.
 *     thread 314 "leaked-3" [futex wait, 2 minutes]:
 *     wait_for_signal
 *     	/src/.../thread_leak.c:29 +0x74
 *     created by start_threads
 *     	/src/.../thread_leak.c:70 +0x51
 */
void threads_print_each(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out);
/* "thread profile: total 52", then the groups of equal stacks, the largest first. */
void threads_print_groups(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out);
/* gzip profile.proto: threads/count, with the labels state and created_by. */
int threads_encode(const struct thread_snapshot *before, const struct thread_snapshot *snapshot,
	struct strbuf *out) __attribute__((warn_unused_result));

/*
 * The stacks that created the threads there are: as groups, and as gzip profile.proto
 * (threadcreate/count). The main thread, and those whose creator is not known, come under the
 * program's entry.
 */
void threads_print_creators(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out);
int threads_encode_creators(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out)
	__attribute__((warn_unused_result));

#endif
