#include "probe/capture.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "probe/stack_copy.h"
#include "probe/thread.h"
#include "probe/unwind.h"

/*
 * A bounded queue of many writers and one reader. A slot's turn says whose it is: equal to the
 * position: free for the writer that claims this position; position + 1: filled, the reader's. The
 * reader hands it to the next round with position + slot_count.
 */
struct slot {
	atomic_uint_fast64_t turn;
	uint64_t tag;
	struct stack_copy copy;
};

struct probe_ring {
	struct slot *slots;
	size_t slot_count;
	atomic_uint_fast64_t head; /* next position to claim */
	atomic_uint_fast64_t dropped_count;
	sem_t filled; /* one post per filled slot (a lazy one has fewer), and one to stop */
	pthread_t thread;
	char thread_name[16];
	atomic_bool stopping;
	bool (*is_wanted)(uint64_t tag, void *context); /* NULL: the ring is not lazy */
	atomic_uint_fast64_t flush_position;            /* somebody waits for all before */
	probe_on_stack *on_stack;
	void *context;

	pthread_mutex_t lock; /* for those who wait until drained_position has moved */
	pthread_cond_t drained;
	atomic_uint_fast64_t drained_position;
};

static struct slot *claim_sigsafe(struct probe_ring *ring, uint64_t *position)
{
	*position = atomic_load_explicit(&ring->head, memory_order_relaxed);
	for (;;) {
		struct slot *slot = &ring->slots[*position & (ring->slot_count - 1)];
		uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);

		if (turn == *position) {
			if (atomic_compare_exchange_weak(&ring->head, position, *position + 1))
				return slot;
		} else if (turn < *position) {
			atomic_fetch_add(&ring->dropped_count, 1);
			return NULL;
		} else {
			*position = atomic_load_explicit(&ring->head, memory_order_relaxed);
		}
	}
}

/* However late the slots before were filled: a count of these would miss the one that all wait for. */
static bool is_half_full(const struct probe_ring *ring)
{
	return atomic_load(&ring->head) - atomic_load(&ring->drained_position) >=
	       ring->slot_count / 2;
}

/*
 * After POSITION was filled. Who flushes moves the position first and looks at the slots then: either
 * sees the other.
 */
static bool is_awaited(const struct probe_ring *ring, uint64_t position)
{
	return !ring->is_wanted || is_half_full(ring) ||
	       position < atomic_load(&ring->flush_position);
}

bool probe_ring_capture_sigsafe(struct probe_ring *ring, const ucontext_t *context, uint64_t tag)
{
	uint64_t position;
	struct slot *slot = claim_sigsafe(ring, &position);

	if (!slot)
		return false;
	slot->tag = tag;
	if (context) {
		stack_copy_take_sigsafe(&slot->copy, context);
	} else {
		struct anchor here; /* of this frame, which is alive until the copy is made */

		anchor_take(&here);
		stack_copy_take_here_sigsafe(&slot->copy, &here);
	}
	atomic_store(&slot->turn, position + 1);
	if (is_awaited(ring, position))
		sem_post(&ring->filled);
	return true;
}

static void hand_on(struct probe_ring *ring, const struct slot *slot)
{
	static __thread struct probe_stack stack; /* 1 KiB that need not be on the stack */

	if (ring->is_wanted && !ring->is_wanted(slot->tag, ring->context))
		return;
	stack.time_ns = slot->copy.time_ns;
	stack.tid = slot->copy.tid;
	stack.tag = slot->tag;
	stack.pc_count = unwind_walk(&slot->copy, stack.pcs, PROBE_STACK_MAX);
	stack.truncated = slot->copy.truncated || stack.pc_count == PROBE_STACK_MAX;
	ring->on_stack(&stack, ring->context);
}

static void drain(struct probe_ring *ring, uint64_t *position)
{
	for (;; (*position)++) {
		struct slot *slot = &ring->slots[*position & (ring->slot_count - 1)];

		if (atomic_load(&slot->turn) != *position + 1)
			return;
		hand_on(ring, slot);
		atomic_store_explicit(
			&slot->turn, *position + ring->slot_count, memory_order_release);
		pthread_mutex_lock(&ring->lock);
		atomic_store(&ring->drained_position, *position + 1);
		pthread_cond_broadcast(&ring->drained);
		pthread_mutex_unlock(&ring->lock);
	}
}

static void *drain_main(void *data)
{
	struct probe_ring *ring = data;
	uint64_t position = 0;

	probe_thread_observe();
	pthread_setname_np(pthread_self(), ring->thread_name);
	for (;;) {
		bool stopping = atomic_load(&ring->stopping);

		drain(ring, &position);
		if (stopping)
			return NULL;
		while (sem_wait(&ring->filled) != 0 && errno == EINTR)
			;
	}
}

int probe_ring_create(const char *name, size_t slot_count, probe_on_stack *on_stack, void *context,
	struct probe_ring **ring)
{
	struct probe_ring *made;
	int err;

	assert(slot_count > 0 && (slot_count & (slot_count - 1)) == 0);
	probe_observe_begin();
	made = xcalloc(1, sizeof(*made));
	snprintf(made->thread_name, sizeof(made->thread_name), "unwind-%s", name);
	made->slot_count = slot_count;
	made->on_stack = on_stack;
	made->context = context;
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->drained, NULL);
	sem_init(&made->filled, 0, 0);
	made->slots = mmap(NULL, slot_count * sizeof(struct slot), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (made->slots == MAP_FAILED) {
		err = -errno;
		goto out;
	}
	for (size_t i = 0; i < slot_count; i++)
		atomic_init(&made->slots[i].turn, i);
	err = -pthread_create(&made->thread, NULL, drain_main, made);
	if (err) {
		munmap(made->slots, slot_count * sizeof(struct slot));
		goto out;
	}
	*ring = made;
	made = NULL;
out:
	free(made);
	probe_observe_end();
	return err;
}

void probe_ring_be_lazy(struct probe_ring *ring, bool (*is_wanted)(uint64_t tag, void *context))
{
	ring->is_wanted = is_wanted;
}

/* Returns where the ring must be drained to. */
static uint64_t begin_flush(struct probe_ring *ring)
{
	uint64_t target = atomic_load(&ring->head);
	uint64_t position = atomic_load(&ring->flush_position);

	while (position < target &&
		!atomic_compare_exchange_weak(&ring->flush_position, &position, target))
		;
	sem_post(&ring->filled);
	return target;
}

void probe_ring_flush(struct probe_ring *ring)
{
	uint64_t target = begin_flush(ring);

	pthread_mutex_lock(&ring->lock);
	while (atomic_load(&ring->drained_position) < target)
		pthread_cond_wait(&ring->drained, &ring->lock);
	pthread_mutex_unlock(&ring->lock);
}

void probe_ring_flush_until(struct probe_ring *ring, int64_t until_ns)
{
	const struct timespec until = {until_ns / CLOCK_NS_PER_SEC, until_ns % CLOCK_NS_PER_SEC};
	uint64_t target = begin_flush(ring);
	int err = 0;

	pthread_mutex_lock(&ring->lock);
	while (atomic_load(&ring->drained_position) < target && err == 0)
		err = pthread_cond_clockwait(&ring->drained, &ring->lock, CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&ring->lock);
}

uint64_t probe_ring_dropped_count(const struct probe_ring *ring)
{
	return atomic_load(&ring->dropped_count);
}

void probe_ring_destroy(struct probe_ring *ring)
{
	if (!ring)
		return;
	atomic_store(&ring->stopping, true);
	sem_post(&ring->filled);
	pthread_join(ring->thread, NULL);
	munmap(ring->slots, ring->slot_count * sizeof(struct slot));
	sem_destroy(&ring->filled);
	pthread_cond_destroy(&ring->drained);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}

size_t probe_stack_here(uintptr_t *pcs, size_t max_count)
{
	struct stack_copy *copy;
	struct anchor here;
	size_t count;

	probe_observe_begin();
	copy = xmalloc(sizeof(*copy));
	anchor_take(&here);
	stack_copy_take_here_sigsafe(copy, &here);
	count = unwind_walk(copy, pcs, max_count);
	free(copy);
	probe_observe_end();
	return count;
}
