#include "trace/stacks.h"

#include <stdatomic.h>

#include "common/clock.h"
#include "probe/capture.h"

#define RING_SLOTS 1024
#define TICKETS 4096 /* more than are captured between two turns of a session */
#define FLUSH_MAX_NS (100 * CLOCK_NS_PER_MS)

static struct probe_ring *ring;
static atomic_uint_fast64_t last_ticket;
static struct {
	_Atomic(uint64_t) ticket;
	_Atomic(const struct depot_stack *) stack;
} unwound[TICKETS];

static void on_stack(const struct probe_stack *stack, void *context)
{
	size_t i = stack->tag % TICKETS;

	(void)context;
	atomic_store_explicit(&unwound[i].ticket, 0, memory_order_relaxed);
	/* Who sees this stack sees the ticket that it replaces no more. */
	atomic_store_explicit(&unwound[i].stack, probe_depot_put(stack->pcs, stack->pc_count),
		memory_order_release);
	atomic_store_explicit(&unwound[i].ticket, stack->tag, memory_order_release);
}

int stacks_start(void)
{
	/* Still there where somebody might have been capturing when the last trace ended. */
	if (ring)
		return 0;
	return probe_ring_create("trace", RING_SLOTS, on_stack, NULL, &ring);
}

void stacks_stop(void)
{
	probe_ring_destroy(ring);
	ring = NULL;
}

uint64_t stacks_capture_sigsafe(void)
{
	uint64_t ticket = 1 + atomic_fetch_add_explicit(&last_ticket, 1, memory_order_relaxed);

	return probe_ring_capture_sigsafe(ring, NULL, ticket) ? ticket : 0;
}

void stacks_flush(void)
{
	probe_ring_flush_until(ring, clock_monotonic_ns() + FLUSH_MAX_NS);
}

const struct depot_stack *stacks_of(uint64_t ticket)
{
	size_t i = ticket % TICKETS;
	const struct depot_stack *stack;

	if (ticket == 0 || atomic_load_explicit(&unwound[i].ticket, memory_order_acquire) != ticket)
		return NULL;
	stack = atomic_load_explicit(&unwound[i].stack, memory_order_acquire);
	if (atomic_load_explicit(&unwound[i].ticket, memory_order_relaxed) != ticket)
		return NULL;
	return stack;
}
