/*
 * capture: the stack of a running thread, copied where it runs and unwound elsewhere.
 *
 * Unwinding in a signal handler or in a malloc hook takes locks (the loader's, the unwinder's) that
 * the interrupted code may hold: it deadlocks against dlopen, and a frame-pointer walk that does
 * not loses the caller of every libc function. So the thread only copies its registers and the
 * stack above them into a slot of a ring; the ring's own thread unwinds the copies with libdw and
 * hands the addresses on.
 *
 * Shape:     a stack comes innermost frame first. Return addresses are moved back by one, into
 *            their call; an exact pc (of an interrupted instruction) stays, so that every address
 *            can be looked up as it is.
 * Bounds:    PROBE_COPY_BYTES of stack and PROBE_STACK_MAX frames; what is deeper is cut
 *            (`truncated`). A ring that is full drops and counts.
 * Ownership: a stack is valid during the callback only.
 * Thread:    probe_ring_capture_sigsafe() is MT-Safe and AS-Safe, without locks, allocation or
 *            waiting; the callback runs on the ring's thread, which is an observer (thread.h); the
 *            rest is MT-Safe, not AS-Safe.
 */
#ifndef SICKBAY_PROBE_CAPTURE_H
#define SICKBAY_PROBE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#define PROBE_COPY_BYTES (16 * 1024)
#define PROBE_STACK_MAX 128

struct probe_stack {
	int64_t time_ns; /* monotonic, when it was copied */
	pid_t tid;
	uint64_t tag; /* the capturer's own */
	bool truncated;
	size_t pc_count;
	uintptr_t pcs[PROBE_STACK_MAX];
};

typedef void probe_on_stack(const struct probe_stack *stack, void *context);

struct probe_ring;

/*
 * SLOT_COUNT is a power of two; a slot costs its 16 KiB only once it was used. NAME, of 8 letters at
 * most, tells the ring's thread from others. Returns 0 or -errno.
 */
int probe_ring_create(const char *name, size_t slot_count, probe_on_stack *on_stack, void *context,
	struct probe_ring **ring) __attribute__((warn_unused_result));
/*
 * For captures that mostly are of no use any more soon after. From now on the ring's thread waits until
 * half of the ring is full, or somebody flushes it; then it unwinds those that IS_WANTED, and forgets
 * the others. Before the first capture.
 */
void probe_ring_be_lazy(struct probe_ring *ring, bool (*is_wanted)(uint64_t tag, void *context));
/*
 * Copies the stack that CONTEXT interrupted, or with NULL the caller's own. False if the ring was
 * full.
 */
bool probe_ring_capture_sigsafe(struct probe_ring *ring, const ucontext_t *context, uint64_t tag);
/* Returns after everything captured before the call has been handed on. Not from the callback. */
void probe_ring_flush(struct probe_ring *ring);
/* The same, but no longer than UNTIL_NS (monotonic): a capture may be stopped in the middle. */
void probe_ring_flush_until(struct probe_ring *ring, int64_t until_ns);
uint64_t probe_ring_dropped_count(const struct probe_ring *ring);
/* Nobody may be capturing any more. Hands on what is left, then frees. */
void probe_ring_destroy(struct probe_ring *ring);

/*
 * The calling thread's stack, unwound at once. Returns the number of addresses; 0 if it could not
 * be walked.
 */
size_t probe_stack_here(uintptr_t *pcs, size_t max_count);

#endif
