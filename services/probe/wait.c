#include "probe/wait.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/interpose.h"
#include "probe/thread_internal.h"
#include "probe/wait_internal.h"

static _Atomic(const struct probe_wait_listener *) listener;

void probe_wait_subscribe(const struct probe_wait_listener *subscriber)
{
	atomic_store(&listener, subscriber);
}

const struct probe_wait_listener *wait_listener(void)
{
	if (!thread_self || thread_self->observer || probe_observing())
		return NULL;
	return atomic_load_explicit(&listener, memory_order_acquire);
}

/*
 * Others look at the count before and after they read the stack: it changes before the stack does.
 */
static void set_frame(struct probe_thread *thread, struct wait_frame *frame)
{
	unsigned changes = atomic_load_explicit(&thread->wait_changes, memory_order_relaxed);

	atomic_store_explicit(&thread->wait_changes, changes + 1, memory_order_relaxed);
	atomic_store_explicit(&thread->wait_frame, frame, memory_order_release);
	atomic_thread_fence(memory_order_release);
}

/*
 * A handler that left a wait by longjmp() left its frame marked. Stacks grow down: a frame that is
 * not above ours is no more.
 */
static struct wait_frame *living_outer(const struct wait_frame *frame)
{
	struct wait_frame *outer = atomic_load(&thread_self->wait_frame);

	return outer > frame ? outer : NULL;
}

void wait_begin(struct wait_frame *frame, const struct probe_wait_call *call, const void *object)
{
	frame->wait = (struct probe_wait){call, object, clock_monotonic_ns()};
	if (!thread_self)
		return;
	frame->outer = living_outer(frame);
	set_frame(thread_self, frame);
}

static bool is_for_a_thread(enum probe_wait_kind kind)
{
	return kind <= PROBE_WAIT_THREAD;
}

void wait_end(struct wait_frame *frame)
{
	const struct probe_wait_listener *subscriber;
	int error = errno;

	if (!thread_self)
		return;
	set_frame(thread_self, frame->outer);
	if (is_for_a_thread(frame->wait.call->kind)) {
		subscriber = wait_listener();
		if (subscriber)
			subscriber->on_wait_end(frame->wait.call->kind,
				clock_monotonic_ns() - frame->wait.since_ns);
	}
	errno = error;
}

/* The frame may be gone at any instant, but the stack it was on is not: the list is locked. */
__attribute__((no_sanitize("address"), no_sanitize("thread"))) static void read_frame(
	struct wait_frame *copy, const struct wait_frame *frame)
{
	const volatile uintptr_t *source = (const uintptr_t *)frame;
	uintptr_t *target = (uintptr_t *)copy;

	for (size_t i = 0; i < sizeof(*copy) / sizeof(*target); i++)
		target[i] = source[i];
}

static bool is_on_stack(const struct probe_thread *thread, uintptr_t address, size_t size_bytes)
{
	return address >= thread->stack_start && address < thread->stack_end &&
	       size_bytes <= thread->stack_end - address;
}

bool wait_copy_stack(
	const struct probe_thread *thread, struct stack_copy *copy, struct probe_wait *wait)
{
	unsigned changes = atomic_load_explicit(&thread->wait_changes, memory_order_acquire);
	const struct wait_frame *there = atomic_load_explicit(
		&thread->wait_frame, memory_order_acquire);
	struct wait_frame frame;

	if (!there || !is_on_stack(thread, (uintptr_t)there, sizeof(frame)))
		return false;
	read_frame(&frame, there);
	arch_regs_from_anchor(&copy->regs, &frame.anchor);
	if (!is_on_stack(thread, copy->regs.sp, 0))
		return false;
	stack_copy_from(copy, thread);
	*wait = frame.wait;
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&thread->wait_changes, memory_order_relaxed) == changes;
}

#define PROBE_WAIT_CALL(type, name, kind, state, parameters, arguments, object)               \
	type name parameters                                                                  \
	{                                                                                     \
		static const struct probe_wait_call call = {#name, state, PROBE_WAIT_##kind}; \
		static void *cache;                                                           \
		__typeof__(&name) next = interpose_next(&cache, #name);                       \
		struct wait_frame frame WAIT_FRAME_END;                                       \
                                                                                              \
		WAIT_FRAME_BEGIN(&frame, &call, object);                                      \
		return next arguments;                                                        \
	}
#include "probe/waits.def"
#undef PROBE_WAIT_CALL
