/*
 * stack_copy: a thread's registers and the stack above them, copied by the thread itself, or by
 * another while it waits. Private to probe.
 *
 * Bounds:    PROBE_COPY_BYTES of stack; what is deeper is cut (`truncated`).
 * Thread:    the stack_copy_take functions are MT-Safe and AS-Safe, without locks, allocation or
 *            waiting.
 */
#ifndef SICKBAY_PROBE_STACK_COPY_H
#define SICKBAY_PROBE_STACK_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#include "probe/anchor.h"
#include "probe/arch.h"
#include "probe/capture.h"

struct stack_copy {
	int64_t time_ns; /* monotonic */
	pid_t tid;
	bool truncated;
	struct arch_regs regs;
	uintptr_t start; /* address of words[0] in the thread's stack */
	size_t size_bytes;
	uintptr_t words[PROBE_COPY_BYTES / sizeof(uintptr_t)];
};

struct probe_thread;

/* Of the calling thread, as CONTEXT has it: what a signal interrupted. */
void stack_copy_take_sigsafe(struct stack_copy *copy, const ucontext_t *context);
/* The same from HERE on, taken in the frame of the caller; getcontext() would ask the kernel. */
void stack_copy_take_here_sigsafe(struct stack_copy *copy, const struct anchor *here);
/*
 * Of THREAD, from COPY's registers on, whose sp is within its stack. The stack must not go away
 * meanwhile; whether it stands still is the caller's to know.
 */
void stack_copy_from(struct stack_copy *copy, const struct probe_thread *thread);

#endif
