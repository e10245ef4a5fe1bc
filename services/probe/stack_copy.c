#include "probe/stack_copy.h"

#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/thread.h"

/*
 * On our own stack, between two known addresses, memcpy cannot fault; sanitizers must not look at
 * the bytes.
 */
__attribute__((no_sanitize("address"), no_sanitize("thread"))) static void copy_words_sigsafe(
	uintptr_t *to, uintptr_t from, size_t size_bytes)
{
	const volatile uintptr_t *source = (const uintptr_t *)from;

	for (size_t i = 0; i < size_bytes / sizeof(uintptr_t); i++)
		to[i] = source[i];
}

/*
 * Where the stack's bounds are not known, the kernel copies: it stops at an unmapped page instead
 * of faulting.
 */
static size_t copy_unknown_sigsafe(uintptr_t *to, uintptr_t from)
{
	struct iovec local = {to, PROBE_COPY_BYTES};
	struct iovec remote = {(void *)from, PROBE_COPY_BYTES};
	ssize_t copied = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	return copied > 0 ? (size_t)copied : 0;
}

/* Between two addresses that are known to be its stack's. */
static void copy_known_sigsafe(struct stack_copy *copy, const struct probe_thread *thread)
{
	uintptr_t sp = copy->regs.sp & ~(sizeof(uintptr_t) - 1);
	size_t size_bytes;

	copy->start = sp - thread->stack_start > arch_red_zone_bytes ? sp - arch_red_zone_bytes
								     : sp;
	size_bytes = thread->stack_end - copy->start;
	copy->truncated = size_bytes > PROBE_COPY_BYTES;
	copy->size_bytes = copy->truncated ? PROBE_COPY_BYTES : size_bytes;
	copy_words_sigsafe(copy->words, copy->start, copy->size_bytes);
}

static void copy_stack_sigsafe(struct stack_copy *copy, const struct probe_thread *thread)
{
	uintptr_t sp = copy->regs.sp & ~(sizeof(uintptr_t) - 1);

	if (thread && sp >= thread->stack_start && sp < thread->stack_end) {
		copy_known_sigsafe(copy, thread);
		return;
	}
	copy->start = sp;
	copy->size_bytes = copy_unknown_sigsafe(copy->words, sp);
	copy->truncated = copy->size_bytes == PROBE_COPY_BYTES;
}

/* From the registers on. */
static void copy_own_sigsafe(struct stack_copy *copy)
{
	const struct probe_thread *thread = probe_thread_self();

	copy->time_ns = clock_monotonic_ns();
	copy->tid = thread ? thread->tid : gettid();
	copy_stack_sigsafe(copy, thread);
}

void stack_copy_take_sigsafe(struct stack_copy *copy, const ucontext_t *context)
{
	arch_regs_from_ucontext_sigsafe(&copy->regs, context);
	copy_own_sigsafe(copy);
}

void stack_copy_take_here_sigsafe(struct stack_copy *copy, const struct anchor *here)
{
	arch_regs_from_anchor(&copy->regs, here);
	copy_own_sigsafe(copy);
}

void stack_copy_from(struct stack_copy *copy, const struct probe_thread *thread)
{
	copy->time_ns = clock_monotonic_ns();
	copy->tid = thread->tid;
	copy_known_sigsafe(copy, thread);
}
