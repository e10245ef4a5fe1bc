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
 * A signal handler in this thread must find either no mark or a whole one: the call is written
 * last, and cleared first.
 */
static void set_mark(struct probe_thread *thread, const struct probe_wait *wait)
{
	*(const struct probe_wait_call *volatile *)&thread->wait.call = NULL;
	atomic_signal_fence(memory_order_seq_cst);
	thread->wait.object = wait->object;
	thread->wait.since_ns = wait->since_ns;
	atomic_signal_fence(memory_order_seq_cst);
	*(const struct probe_wait_call *volatile *)&thread->wait.call = wait->call;
}

void wait_begin(const struct probe_wait_call *call, const void *object, struct probe_wait *outer)
{
	const struct probe_wait wait = {call, object, clock_monotonic_ns()};

	*outer = (struct probe_wait){0};
	if (!thread_self)
		return;
	*outer = thread_self->wait;
	if (!outer->call)
		set_mark(thread_self, &wait);
}

static bool is_for_a_thread(enum probe_wait_kind kind)
{
	return kind <= PROBE_WAIT_THREAD;
}

void wait_end(const struct probe_wait *outer)
{
	const struct probe_wait_listener *subscriber;
	struct probe_wait wait;
	int error = errno;

	if (!thread_self || outer->call)
		return;
	wait = thread_self->wait;
	set_mark(thread_self, outer);
	if (wait.call && is_for_a_thread(wait.call->kind)) {
		subscriber = wait_listener();
		if (subscriber)
			subscriber->on_wait_end(
				wait.call->kind, clock_monotonic_ns() - wait.since_ns);
	}
	errno = error;
}

#define PROBE_WAIT_CALL(type, name, kind, state, parameters, arguments, object)               \
	type name parameters                                                                  \
	{                                                                                     \
		static const struct probe_wait_call call = {#name, state, PROBE_WAIT_##kind}; \
		static void *cache;                                                           \
		__typeof__(&name) next = interpose_next(&cache, #name);                       \
		struct probe_wait outer;                                                      \
		type answer;                                                                  \
                                                                                              \
		wait_begin(&call, object, &outer);                                            \
		answer = next arguments;                                                      \
		wait_end(&outer);                                                             \
		return answer;                                                                \
	}
#include "probe/waits.def"
#undef PROBE_WAIT_CALL
