#include "probe/wait.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/interpose.h"
#include "probe/thread_internal.h"
#include "probe/wait_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of those who subscribe */
static _Atomic(const struct probe_wait_listener *) listeners[PROBE_WAIT_LISTENERS_MAX];
static atomic_uint wanted_kinds; /* those that any listener wants */

/* Puts NEW in the first place that has OLD. */
static void replace(const struct probe_wait_listener *old, const struct probe_wait_listener *new)
{
	unsigned kinds = 0;
	size_t place = 0;

	pthread_mutex_lock(&lock);
	while (place < PROBE_WAIT_LISTENERS_MAX && atomic_load(&listeners[place]) != old)
		place++;
	assert(place < PROBE_WAIT_LISTENERS_MAX);
	atomic_store(&listeners[place], new);
	for (size_t i = 0; i < PROBE_WAIT_LISTENERS_MAX; i++) {
		const struct probe_wait_listener *listener = atomic_load(&listeners[i]);

		kinds |= listener ? listener->kinds : 0;
	}
	atomic_store(&wanted_kinds, kinds);
	pthread_mutex_unlock(&lock);
}

void probe_wait_subscribe(const struct probe_wait_listener *listener)
{
	replace(NULL, listener);
}

void probe_wait_unsubscribe(const struct probe_wait_listener *listener)
{
	replace(listener, NULL);
}

static bool is_wanted(enum probe_wait_kind kind)
{
	return atomic_load_explicit(&wanted_kinds, memory_order_relaxed) & 1U << kind;
}

__attribute__((noinline)) static void tell_wait_end(const struct probe_wait *wait)
{
	int64_t now_ns = clock_monotonic_ns();

	if (thread_observes())
		return;
	for (size_t i = 0; i < PROBE_WAIT_LISTENERS_MAX; i++) {
		const struct probe_wait_listener *listener = atomic_load_explicit(
			&listeners[i], memory_order_acquire);

		if (listener && listener->kinds & 1U << wait->call->kind)
			listener->on_wait_end(wait, now_ns);
	}
}

void wait_tell_contended_unlock(int64_t waited_ns, unsigned waiter_count)
{
	if (thread_observes())
		return;
	for (size_t i = 0; i < PROBE_WAIT_LISTENERS_MAX; i++) {
		const struct probe_wait_listener *listener = atomic_load_explicit(
			&listeners[i], memory_order_acquire);

		if (listener && listener->on_contended_unlock)
			listener->on_contended_unlock(waited_ns, waiter_count);
	}
}

/* Others may read meanwhile, and throw away what they got (below). */
__attribute__((no_sanitize("thread"))) static void copy_mark(
	struct wait_mark *to, const struct wait_mark *from)
{
	const volatile uintptr_t *source = (const uintptr_t *)from;
	volatile uintptr_t *target = (uintptr_t *)to;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*target); i++)
		target[i] = source[i];
}

/*
 * A sequence lock with one writer. The count is odd before the mark changes, and so before the frames
 * that the mark is about do; it is even again, and another, only after.
 */
static void set_mark(struct probe_thread *thread, const struct wait_mark *mark)
{
	unsigned changes = atomic_load_explicit(&thread->wait_changes, memory_order_relaxed);

	atomic_store_explicit(&thread->wait_changes, changes + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	copy_mark(&thread->wait_mark, mark);
	atomic_store_explicit(&thread->wait_changes, changes + 2, memory_order_release);
	atomic_thread_fence(memory_order_release);
}

static bool is_on_stack(const struct probe_thread *thread, uintptr_t address)
{
	return address >= thread->stack_start && address < thread->stack_end;
}

/*
 * A wait that was left by longjmp() is still marked. Stacks grow down: what is not above HERE, on the
 * same stack, is no more.
 */
static bool is_over(const struct probe_thread *thread, const struct wait_mark *mark, uintptr_t here)
{
	uintptr_t sp = mark->anchor.words[ANCHOR_SP];

	return !mark->wait.call ||
	       (is_on_stack(thread, sp) && is_on_stack(thread, here) && sp < here);
}

void wait_begin(struct wait_frame *frame, const struct probe_wait_call *call, const void *object)
{
	struct probe_thread *thread = thread_self;

	frame->mark.wait = (struct probe_wait){call, object, clock_monotonic_ns()};
	frame->outer.wait.call = NULL;
	/* Odd: this is a signal handler, and has interrupted set_mark(). */
	frame->is_marked = thread &&
			   !(atomic_load_explicit(&thread->wait_changes, memory_order_relaxed) & 1);
	if (!frame->is_marked)
		return;
	if (!is_over(thread, &thread->wait_mark, (uintptr_t)frame))
		frame->outer = thread->wait_mark;
	set_mark(thread, &frame->mark);
}

void wait_end(struct wait_frame *frame)
{
	int error = errno;

	if (!frame->is_marked)
		return;
	set_mark(thread_self, &frame->outer);
	if (is_wanted(frame->mark.wait.call->kind))
		tell_wait_end(&frame->mark.wait);
	errno = error;
}

/*
 * The thread may have got the mutex meanwhile, and given it back to the system: the kernel reads
 * where we might fault.
 */
static pid_t read_owner_sigsafe(const struct probe_wait *wait, pid_t waiter)
{
	const pthread_mutex_t *mutex = wait->object;
	int owner = 0;
	struct iovec here = {&owner, sizeof(owner)};
	struct iovec there;

	if (wait->call->kind != PROBE_WAIT_MUTEX)
		return 0;
	there = (struct iovec){(void *)&mutex->__data.__owner, sizeof(owner)};
	if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != sizeof(owner))
		return 0;
	return owner == waiter ? 0 : owner;
}

/* ThreadSanitizer knows no fences. */
__attribute__((no_sanitize("thread"))) static bool is_unchanged(
	const struct probe_thread *thread, unsigned changes)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&thread->wait_changes, memory_order_relaxed) == changes;
}

/* What THREAD waits for, at the state CHANGES of its mark; false where it does not, or just changes. */
static bool read_mark(const struct probe_thread *thread, struct wait_mark *mark, unsigned *changes)
{
	*changes = atomic_load_explicit(&thread->wait_changes, memory_order_acquire);
	copy_mark(mark, &thread->wait_mark);
	return !(*changes & 1) && is_unchanged(thread, *changes) && mark->wait.call;
}

bool wait_read(const struct probe_thread *thread, struct stack_copy *copy, struct wait_seen *seen)
{
	struct wait_seen now = {0};
	struct wait_mark mark;
	unsigned changes;

	if (!read_mark(thread, &mark, &changes))
		return false;
	arch_regs_from_anchor(&copy->regs, &mark.anchor);
	if (!is_on_stack(thread, copy->regs.sp))
		return false;
	/* It cannot end while the list is locked: its stack stays. */
	stack_copy_from(copy, thread);
	now.wait = mark.wait;
	now.mutex_owner = read_owner_sigsafe(&mark.wait, thread->tid);
	if (!is_unchanged(thread, changes))
		return false;
	*seen = now;
	return true;
}

struct visiting {
	void (*visit)(pid_t tid, const struct probe_wait *wait, void *context);
	void *context;
};

static void visit_waiting(struct probe_thread *thread, void *context)
{
	const struct visiting *visiting = context;
	struct wait_mark mark;
	unsigned changes;

	if (!thread->observer && read_mark(thread, &mark, &changes))
		visiting->visit(thread->tid, &mark.wait, visiting->context);
}

void probe_wait_for_each(
	void (*visit)(pid_t tid, const struct probe_wait *wait, void *context), void *context)
{
	struct visiting visiting = {visit, context};

	probe_thread_for_each(visit_waiting, &visiting);
}

void wait_read_self_sigsafe(uintptr_t sp, struct wait_seen *seen)
{
	const struct probe_thread *thread = thread_self;

	*seen = (struct wait_seen){0};
	if (atomic_load_explicit(&thread->wait_changes, memory_order_relaxed) & 1 ||
		is_over(thread, &thread->wait_mark, sp))
		return;
	seen->wait = thread->wait_mark.wait;
	seen->mutex_owner = read_owner_sigsafe(&seen->wait, thread->tid);
}

#define PROBE_WAIT_CALL(type, name, kind, state, parameters, arguments, object) INTERPOSED(name)
#include "probe/waits.def"
#undef PROBE_WAIT_CALL

#define PROBE_WAIT_CALL(type, name, kind, state, parameters, arguments, object)               \
	type name parameters                                                                  \
	{                                                                                     \
		static const struct probe_wait_call call = {#name, state, PROBE_WAIT_##kind}; \
		__typeof__(&name) next = INTERPOSE_NEXT(name);                                \
		struct wait_frame frame WAIT_FRAME_END;                                       \
                                                                                              \
		WAIT_FRAME_BEGIN(&frame, &call, object);                                      \
		return next arguments;                                                        \
	}
#include "probe/waits.def"
#undef PROBE_WAIT_CALL
