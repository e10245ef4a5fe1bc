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

/*
 * A wait under way, on the stack of the thread that waits, in the frame of the interposer: as long as
 * the thread's entry points to it, that frame and all above it stand still, and can be read by others
 * without disturbing the thread.
 */
struct wait_frame {
	struct probe_wait wait;
	struct arch_anchor anchor;
	struct wait_frame *outer; /* a signal handler may wait within a wait */
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
		arch_anchor_take(&(frame)->anchor); \
		wait_begin(frame, call, object);    \
	} while (0)

void wait_begin(struct wait_frame *frame, const struct probe_wait_call *call, const void *object);
void wait_end(struct wait_frame *frame);

/*
 * Copies the stack of THREAD where it waits, without its help. False if it does not wait, or has
 * begun to move meanwhile: then it must be asked. List locked.
 */
bool wait_copy_stack(
	const struct probe_thread *thread, struct stack_copy *copy, struct probe_wait *wait);

/* The listener, or NULL where this thread's waits are nobody's business. */
const struct probe_wait_listener *wait_listener(void);

#endif
