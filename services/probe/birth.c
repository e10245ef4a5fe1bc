/* The births of threads: pthread_create interposed, and the stacks of those who call it. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/clock.h"
#include "probe/capture.h"
#include "probe/interpose.h"
#include "probe/thread_internal.h"

INTERPOSED(pthread_create)

/* A burst of births that overtakes the unwinding leaves threads with their creator's pc alone. */
#define RING_SLOTS 128
#define FLUSH_NS (100 * CLOCK_NS_PER_MS)

struct birth {
	void *(*routine)(void *);
	void *arg;
	struct probe_thread *thread;
};

static _Atomic(struct probe_ring *) creators;

/* Not static: this frame is at the bottom of every thread's stack and should say what it is. */
void *probe_thread_main(void *data);

void *probe_thread_main(void *data)
{
	struct birth birth = *(struct birth *)data;

	free(data);
	thread_born(birth.thread);
	return birth.routine(birth.arg);
}

/* Announced before it is started: whoever unwinds its creator's stack must find the entry. */
static struct birth *announce(
	void *(*routine)(void *), void *arg, uintptr_t created_by_pc, bool observes)
{
	struct birth *birth = malloc(sizeof(*birth));
	struct probe_thread *thread = calloc(1, sizeof(*thread));

	if (!birth || !thread) {
		free(birth);
		free(thread);
		return NULL;
	}
	*birth = (struct birth){routine, arg, thread};
	thread->created_by_pc = created_by_pc;
	thread->observer = observes;
	thread_announce(thread);
	return birth;
}

int pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg)
{
	struct probe_ring *ring = atomic_load_explicit(&creators, memory_order_acquire);
	uintptr_t pc = (uintptr_t)__builtin_return_address(0) - 1;
	__typeof__(&pthread_create) next = INTERPOSE_NEXT(pthread_create);
	/* A thread started by an observer's own work is one too. */
	bool observes = thread_self && thread_observes();
	struct birth *birth;
	struct probe_thread *entry;
	int err = EAGAIN;

	probe_observe_begin();
	birth = announce(routine, arg, pc, observes);
	if (!birth)
		goto out;
	entry = birth->thread;
	if (ring)
		probe_ring_capture_sigsafe(ring, NULL, entry->number);
	err = next(thread, attr, probe_thread_main, birth);
	if (err) {
		thread_drop(entry);
		free(entry);
		free(birth);
	}
out:
	probe_observe_end();
	return err;
}

static void on_creator(const struct probe_stack *stack, void *context)
{
	const size_t own_count = 2; /* probe_ring_capture_sigsafe and pthread_create */

	(void)context;
	if (stack->pc_count > own_count)
		thread_set_creator(stack->tag,
			probe_depot_put(stack->pcs + own_count, stack->pc_count - own_count));
}

int probe_births_start(void)
{
	struct probe_ring *ring;
	int err;

	if (atomic_load(&creators))
		return 0;
	err = probe_ring_create("births", RING_SLOTS, on_creator, NULL, &ring);
	if (!err)
		atomic_store_explicit(&creators, ring, memory_order_release);
	return err;
}

void probe_births_flush(void)
{
	struct probe_ring *ring = atomic_load(&creators);

	if (ring)
		probe_ring_flush_until(ring, clock_monotonic_ns() + FLUSH_NS);
}
