/* The always-on side: a listener in the threads that wait, the books on the ring's thread. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/random.h"
#include "diag/contention_internal.h"
#include "probe/capture.h"
#include "probe/symbolize.h"
#include "probe/thread.h"
#include "probe/wait.h"

/* A thread fills some hundred slots a second at most; the books unwind as many in 10 ms. */
#define RING_SLOTS 512
/* Libc's frames within a wait, or those of the listener, together are fewer than this. */
#define OWN_DEPTH_MAX 16

static struct probe_ring *ring; /* before anybody listens */
/* Guards the books. Taken by threads that observe, for a few instructions, or a copy of the books. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct contention_sums books[CONTENTION_KINDS];

/* What a capture carries along: floats, exact to 1 in 10 million, take 64 bits with the kind. */
struct weight {
	float contention_count;
	float delay_ns; /* of mutex negative */
};
_Static_assert(sizeof(struct weight) == sizeof(uint64_t), "a ring's tag");

/* ---- the books ---- */

void contention_add(struct contention_sums *sums, const struct depot_stack *stack,
	double contention_count, double delay_ns)
{
	size_t index = stack ? stack->number + 1 : 0;
	struct contention_entry *entry = &sums->entries[index];

	if (!stack)
		sums->lost_count++;
	entry->stack = stack;
	entry->contention_count += contention_count;
	entry->delay_ns += delay_ns;
	if (sums->entry_end <= index)
		sums->entry_end = index + 1;
}

/* The interposers are the only functions of the program itself that have libc's names. */
static bool is_interposer(const struct probe_symbol *symbol, const struct probe_module *program)
{
	const char *function = symbol->frames[symbol->frame_count - 1].function;

	return symbol->module == program &&
	       (strncmp(function, "pthread_", 8) == 0 || strncmp(function, "sem_", 4) == 0);
}

static size_t find_leaf(const uintptr_t *pcs, size_t pc_count)
{
	const struct probe_module *program = probe_main_module();

	for (size_t i = 0; i < pc_count && i < OWN_DEPTH_MAX; i++)
		if (is_interposer(probe_symbolize(pcs[i]), program))
			return i;
	return 0;
}

const struct depot_stack *contention_stack(const uintptr_t *pcs, size_t pc_count)
{
	size_t leaf = find_leaf(pcs, pc_count), kept_count = pc_count - leaf;
	uintptr_t kept[PROBE_STACK_MAX], start;

	if (kept_count == 0)
		return NULL;
	memcpy(kept, pcs + leaf, kept_count * sizeof(kept[0]));
	start = probe_symbolize(kept[0])->function_start;
	if (start)
		kept[0] = start;
	return probe_depot_put(kept, kept_count);
}

static void add_to_books(const struct depot_stack *stack, const struct weight *weight)
{
	enum contention_kind kind = weight->delay_ns < 0 ? CONTENTION_MUTEX : CONTENTION_BLOCK;

	pthread_mutex_lock(&lock);
	contention_add(
		&books[kind], stack, (double)weight->contention_count, fabs(weight->delay_ns));
	pthread_mutex_unlock(&lock);
}

/* The ring's thread. */
static void on_stack(const struct probe_stack *stack, void *context)
{
	struct weight weight;

	(void)context;
	memcpy(&weight, &stack->tag, sizeof(weight));
	add_to_books(contention_stack(stack->pcs, stack->pc_count), &weight);
}

/* ---- in the threads that wait ---- */

/* A stretch of the time that a thread spends in short waits, and the point drawn within. */
struct stretch {
	int64_t left_ns;
	int64_t point_ns; /* from now; negative once it has passed */
};

/* Returns how many points fall into the WAITED_NS that follow: 2 at most. */
static unsigned pass(struct stretch *stretch, int64_t waited_ns)
{
	static __thread uint64_t random_state;
	unsigned point_count = 0;

	while (waited_ns > 0) {
		int64_t step_ns;

		if (stretch->left_ns == 0) {
			stretch->left_ns = CONTENTION_RATE_NS;
			stretch->point_ns = (int64_t)(random_quick(&random_state) %
						      CONTENTION_RATE_NS);
		}
		step_ns = waited_ns < stretch->left_ns ? waited_ns : stretch->left_ns;
		if (stretch->point_ns >= 0 && stretch->point_ns < step_ns)
			point_count++;
		stretch->point_ns -= step_ns;
		stretch->left_ns -= step_ns;
		waited_ns -= step_ns;
	}
	return point_count;
}

static void capture(enum contention_kind kind, double contention_count, double delay_ns)
{
	const struct weight weight = {
		(float)contention_count, (float)(kind == CONTENTION_MUTEX ? -delay_ns : delay_ns)};
	int error = errno;
	uint64_t tag;

	memcpy(&tag, &weight, sizeof(tag));
	probe_observe_begin();
	if (!probe_ring_capture_sigsafe(ring, NULL, tag))
		add_to_books(NULL, &weight);
	probe_observe_end();
	errno = error;
}

static void sample(enum contention_kind kind, double contention_count, int64_t waited_ns)
{
	static __thread struct stretch stretches[CONTENTION_KINDS];
	double weight, delay_ns;

	if (waited_ns >= CONTENTION_RATE_NS) {
		capture(kind, contention_count, (double)waited_ns);
		return;
	}
	delay_ns = (double)pass(&stretches[kind], waited_ns) * CONTENTION_RATE_NS;
	if (delay_ns > 0) {
		weight = delay_ns / (double)waited_ns;
		capture(kind, contention_count * weight, delay_ns);
	}
}

static void on_wait_end(const struct probe_wait *wait, int64_t now_ns)
{
	sample(CONTENTION_BLOCK, 1, now_ns - wait->since_ns);
}

static void on_contended_unlock(int64_t waited_ns, unsigned waiter_count)
{
	sample(CONTENTION_MUTEX, waiter_count, waited_ns);
}

int contention_init(void)
{
	static const struct probe_wait_listener listener = {
		.kinds = PROBE_WAITS_FOR_THREADS,
		.on_wait_end = on_wait_end,
		.on_contended_unlock = on_contended_unlock,
	};
	int err;

	if (ring)
		return 0;
	err = probe_ring_create("locks", RING_SLOTS, on_stack, NULL, &ring);
	if (!err)
		probe_wait_subscribe(&listener);
	return err;
}

/* ---- snapshots ---- */

static void copy_books(enum contention_kind kind, struct contention_sums *sums)
{
	const struct contention_sums *book = &books[kind];

	probe_ring_flush(ring);
	pthread_mutex_lock(&lock);
	sums->lost_count = book->lost_count;
	sums->entry_end = book->entry_end;
	memcpy(sums->entries, book->entries, book->entry_end * sizeof(book->entries[0]));
	pthread_mutex_unlock(&lock);
}

static struct contention_snapshot *used_entries(const struct contention_sums *sums)
{
	struct contention_snapshot *snapshot = xmalloc(
		sizeof(*snapshot) + sums->entry_end * sizeof(snapshot->entries[0]));

	snapshot->lost_count = sums->lost_count;
	snapshot->entry_count = 0;
	for (size_t i = 0; i < sums->entry_end; i++)
		if (sums->entries[i].contention_count > 0 || sums->entries[i].delay_ns > 0)
			snapshot->entries[snapshot->entry_count++] = sums->entries[i];
	return snapshot;
}

/* First the books, then who still waits: a wait that ends in between is in neither, not in both. */
int contention_snapshot(enum contention_kind kind, struct contention_snapshot **snapshot)
{
	struct contention_sums *sums;
	int err;

	if (!ring)
		return -ENODATA;
	probe_observe_begin();
	sums = xcalloc(1, sizeof(*sums));
	copy_books(kind, sums);
	err = contention_add_waiting(kind, sums);
	if (!err) {
		*snapshot = used_entries(sums);
		(*snapshot)->kind = kind;
		(*snapshot)->time_ns = clock_realtime_ns();
	}
	free(sums);
	probe_observe_end();
	return err;
}
