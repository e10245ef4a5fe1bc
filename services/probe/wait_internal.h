/*
 * wait_internal: how the interposers mark their thread, and how others read what is marked. Private
 * to probe.
 *
 * Thread:    wait_begin() and wait_end() are AS-Safe; errno stays as it is.
 */
#ifndef SICKBAY_PROBE_WAIT_INTERNAL_H
#define SICKBAY_PROBE_WAIT_INTERNAL_H

#include "probe/arch.h"
#include "probe/stack_copy.h"
#include "probe/thread.h"

/* In the frame of the interposer. */
struct wait_frame {
	struct wait_mark mark;
	struct wait_mark
		outer; /* a signal handler may wait within a wait; call NULL: it does not */
	bool is_marked;
};

/*
 * In the interposer itself, before and after libc's function. A cancelled thread leaves the
 * interposer without returning to it: hence the cleanup (and -fexceptions).
 *     struct wait_frame frame WAIT_FRAME_END;
 *     WAIT_FRAME_BEGIN(&frame, &call, object);
 *     answer = next(...);
 */
#define WAIT_FRAME_END __attribute__((cleanup(wait_end)))
#define WAIT_FRAME_BEGIN(frame, call, object)       \
	do {                                        \
		anchor_take(&(frame)->mark.anchor); \
		wait_begin(frame, call, object);    \
	} while (0)

void wait_begin(struct wait_frame *frame, const struct probe_wait_call *call, const void *object);
void wait_end(struct wait_frame *frame);

/* A thread that waits, as it was read while it did. */
struct wait_seen {
	struct probe_wait wait;
	pid_t mutex_owner; /* of a mutex; 0: nobody, or already the thread itself */
};

/*
 * Copies the stack of THREAD where it waits, without its help. False if it does not wait, or has
 * begun to move meanwhile: then it must be asked, and SEEN is untouched. List locked.
 */
bool wait_read(const struct probe_thread *thread, struct stack_copy *copy, struct wait_seen *seen);
/* Of the calling thread, interrupted by a signal at SP. */
void wait_read_self_sigsafe(uintptr_t sp, struct wait_seen *seen);

/* To those who listen, unless this thread's waits are nobody's business. */
void wait_tell_contended_unlock(int64_t waited_ns, unsigned waiter_count);

#endif
