/*
 * dump: the stacks of all threads, now.
 *
 * A thread that waits in an interposed call (wait.h) is read where it stands, undisturbed. Each of
 * the others gets a signal (SIGURG, which is ignored by default and which debuggers let pass), and
 * its handler only copies. Unwinding happens in the caller, portion by portion, so that ten thousand
 * threads need the memory of PROBE_DUMP_PORTION copies. A thread that blocks the signal, or does not
 * answer in time, is reported as such; what it answers later goes nowhere. Threads past
 * pthread_create are reported without a stack.
 *
 * Shape:     every thread once, the oldest first; the calling thread is one of them.
 * Errors:    -errno of memory; what was visited by then stands.
 * Ownership: what the callback gets is valid during the call.
 * Thread:    MT-Safe, one dump at a time; not AS-Safe. Takes the list's lock and the modules', for
 *            a moment each, and no lock of the program. The callback runs in the caller with no
 *            lock held. Signals interrupt the waits of the program: SA_RESTART where the kernel has
 *            it; epoll_wait, poll, nanosleep and timed waits return EINTR (signal(7)).
 */
#ifndef SICKBAY_PROBE_DUMP_H
#define SICKBAY_PROBE_DUMP_H

#include "probe/capture.h"
#include "probe/task.h"
#include "probe/wait.h"

#define PROBE_DUMP_PORTION 64

enum probe_answer {
	PROBE_ANSWERED,
	PROBE_BLOCKS_SIGNAL,
	PROBE_SILENT,   /* did not answer in time */
	PROBE_UNLISTED, /* starting, ending, or made past pthread_create */
};

struct probe_dumped {
	uint64_t number; /* of thread.h; 0 if unlisted */
	pid_t tid;
	char name[PROBE_NAME_BYTES];
	enum probe_answer answer;
	bool observer;

	uintptr_t created_by_pc;
	const struct depot_stack *created_by; /* as in thread.h */

	int64_t time_ns; /* monotonic, when it answered */
	struct probe_wait wait;
	pid_t mutex_owner; /* of the mutex it waits for, as libc has it; 0: nobody */
	bool in_system_call;

	bool truncated;
	size_t pc_count; /* 0 where it did not answer */
	uintptr_t pcs[PROBE_STACK_MAX];
};

typedef void probe_on_dumped(const struct probe_dumped *dumped, void *context);

enum probe_dump_scope {
	PROBE_DUMP_ALL,
	PROBE_DUMP_PROGRAM, /* without observers and unlisted threads */
};

int probe_dump(enum probe_dump_scope scope, probe_on_dumped *on_dumped, void *context)
	__attribute__((warn_unused_result));

#endif
