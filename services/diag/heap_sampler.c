/* The always-on sampler: hooks on the program's side, books on the ring's. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/random.h"
#include "diag/gperftools.h"
#include "diag/heap.h"
#include "diag/heap_internal.h"
#include "probe/capture.h"
#include "probe/thread.h"

#define RING_SLOTS 1024
#define FILTER_CELLS (1U << 20)
#define LIVE_BUCKETS (1U << 16)
#define STACK_BUCKETS (2U * HEAP_STACKS_MAX)
#define NO_STACK 0U /* entry 0: samples whose stack found no room */

/*
 * One sampled allocation. Born in the new hook; its stack is known when the ring's thread has
 * unwound it. The block may be freed before that: then `freed` tells the ring's thread that the
 * sample must not count as in use.
 */
struct sample {
	const void *block;
	double objects, bytes;
	uint32_t stack; /* index of its heap_entry */
	bool stack_known, freed;
	uint32_t next; /* in its bucket of `live`, or in the free list; 0 ends */
};

static struct {
	/*
	 * Guards all below but the filter, the ring and the rate. Held for a few instructions (for a copy of the entries by heap_snapshot()),
	 * never while allocating.
	 */
	pthread_mutex_t lock;
	struct sample *samples; /* 1 ... HEAP_LIVE_MAX */
	uint32_t unused;        /* samples never used yet begin here */
	uint32_t free_list;
	uint32_t live[LIVE_BUCKETS];
	struct heap_entry *entries;
	size_t entry_count;
	uint32_t stacks[STACK_BUCKETS]; /* open addressing; index + 1 */
	uint64_t lost_count;

	/*
	 * How many sampled blocks may hash here: lets a free of any other block pass without the
	 * lock.
	 */
	atomic_uint_least16_t *filter;
	struct probe_ring *ring;
	atomic_size_t rate_bytes;      /* 0: stopped */
	atomic_size_t last_rate_bytes; /* what the samples were taken at */
	bool hooked;
} books = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread int64_t until_sample_bytes;
static __thread size_t drawn_rate_bytes;
static __thread uint64_t random_state;

static uint32_t hash_block(const void *block)
{
	return (uint32_t)(((uintptr_t)block >> 3) * 0x9E3779B97F4A7C15ULL >> 40);
}

/* Distances between samples are exponential, so that every byte has the same chance. */
static int64_t next_distance_bytes(size_t rate_bytes)
{
	double uniform = ((double)(random_quick(&random_state) >> 11) + 1) / 9007199254740993.0;

	return (int64_t)(-log(uniform) * (double)rate_bytes) + 1;
}

static uint32_t take_sample_locked(void)
{
	uint32_t index = books.free_list;

	if (index) {
		books.free_list = books.samples[index].next;
		return index;
	}
	return books.unused <= HEAP_LIVE_MAX ? books.unused++ : 0;
}

static void give_sample_locked(uint32_t index)
{
	books.samples[index].next = books.free_list;
	books.free_list = index;
}

static void link_live_locked(uint32_t index)
{
	uint32_t hash = hash_block(books.samples[index].block);
	uint32_t *bucket = &books.live[hash % LIVE_BUCKETS];

	books.samples[index].next = *bucket;
	*bucket = index;
	atomic_fetch_add(&books.filter[hash % FILTER_CELLS], 1);
}

/* The sample's stack is decided: from now on it is in the sums. */
static void settle_locked(uint32_t index, uint32_t stack)
{
	struct sample *sample = &books.samples[index];
	struct heap_entry *entry = &books.entries[stack];

	sample->stack = stack;
	sample->stack_known = true;
	entry->values[HEAP_ALLOC_OBJECTS] += sample->objects;
	entry->values[HEAP_ALLOC_BYTES] += sample->bytes;
	if (sample->freed) {
		give_sample_locked(index);
	} else {
		entry->values[HEAP_INUSE_OBJECTS] += sample->objects;
		entry->values[HEAP_INUSE_BYTES] += sample->bytes;
	}
}

static uint32_t unlink_live_locked(const void *block)
{
	uint32_t hash = hash_block(block);

	for (uint32_t *link = &books.live[hash % LIVE_BUCKETS]; *link;
		link = &books.samples[*link].next) {
		uint32_t index = *link;

		if (books.samples[index].block == block) {
			*link = books.samples[index].next;
			atomic_fetch_sub(&books.filter[hash % FILTER_CELLS], 1);
			return index;
		}
	}
	return 0;
}

/* Nobody will unwind this one: it counts, without a stack. */
static void settle_without_stack(uint32_t index)
{
	pthread_mutex_lock(&books.lock);
	books.lost_count++;
	settle_locked(index, NO_STACK);
	pthread_mutex_unlock(&books.lock);
}

static void take(const void *block, size_t size_bytes, size_t rate_bytes)
{
	double chance = -expm1(-(double)size_bytes / (double)rate_bytes);
	uint32_t index;

	pthread_mutex_lock(&books.lock);
	index = take_sample_locked();
	if (index) {
		books.samples[index] = (struct sample){
			.block = block,
			.objects = 1 / chance,
			.bytes = (double)size_bytes / chance,
		};
		link_live_locked(index);
	} else {
		books.lost_count++;
	}
	pthread_mutex_unlock(&books.lock);
	if (index && !probe_ring_capture_sigsafe(books.ring, NULL, index))
		settle_without_stack(index);
}

/* The hooks keep their frames: their addresses mark where malloc ends and the program begins. */
static __attribute__((noinline)) void on_new(const void *block, size_t size_bytes)
{
	size_t rate_bytes;

	until_sample_bytes -= (int64_t)size_bytes;
	if (until_sample_bytes > 0)
		return;
	rate_bytes = atomic_load_explicit(&books.rate_bytes, memory_order_relaxed);
	if (!block)
		return;
	if (rate_bytes == 0) {
		drawn_rate_bytes = 0; /* what is counted while it is off must not count later */
		return;
	}
	if (drawn_rate_bytes != rate_bytes) { /* no distance was drawn at this rate yet */
		drawn_rate_bytes = rate_bytes;
		until_sample_bytes = next_distance_bytes(rate_bytes) - (int64_t)size_bytes;
		if (until_sample_bytes > 0)
			return;
	}
	until_sample_bytes = next_distance_bytes(rate_bytes);
	if (size_bytes == 0 || probe_observing())
		return;
	probe_observe_begin();
	take(block, size_bytes, rate_bytes);
	probe_observe_end();
}

static __attribute__((noinline)) void on_delete(const void *block)
{
	uint32_t index;

	if (!block || atomic_load_explicit(&books.filter[hash_block(block) % FILTER_CELLS],
			      memory_order_relaxed) == 0)
		return;
	pthread_mutex_lock(&books.lock);
	index = unlink_live_locked(block);
	if (index) {
		struct sample *sample = &books.samples[index];

		if (sample->stack_known) {
			books.entries[sample->stack].values[HEAP_INUSE_OBJECTS] -= sample->objects;
			books.entries[sample->stack].values[HEAP_INUSE_BYTES] -= sample->bytes;
			give_sample_locked(index);
		} else {
			sample->freed = true;
		}
	}
	pthread_mutex_unlock(&books.lock);
}

static uint32_t find_stack_locked(const uintptr_t *pcs, size_t pc_count)
{
	uint64_t hash = pc_count;

	for (size_t i = 0; i < pc_count; i++)
		hash = (hash ^ pcs[i]) * 0x9E3779B97F4A7C15ULL;
	for (uint32_t at = (uint32_t)(hash >> 32);; at++) {
		uint32_t *cell = &books.stacks[at % STACK_BUCKETS];
		struct heap_entry *entry;

		if (*cell == 0) {
			if (books.entry_count == HEAP_STACKS_MAX) {
				books.lost_count++;
				return NO_STACK;
			}
			entry = &books.entries[books.entry_count];
			entry->pc_count = pc_count;
			memcpy(entry->pcs, pcs, pc_count * sizeof(*pcs));
			*cell = (uint32_t)++books.entry_count;
			return *cell - 1;
		}
		entry = &books.entries[*cell - 1];
		if (entry->pc_count == pc_count &&
			memcmp(entry->pcs, pcs, pc_count * sizeof(*pcs)) == 0)
			return *cell - 1;
	}
}

/* The ring's thread. */
static void on_stack(const struct probe_stack *stack, void *context)
{
	size_t skip = heap_skip_allocator(stack->pcs, stack->pc_count);
	size_t pc_count = stack->pc_count - skip;

	(void)context;
	if (pc_count > HEAP_FRAMES_MAX)
		pc_count = HEAP_FRAMES_MAX;
	pthread_mutex_lock(&books.lock);
	settle_locked((uint32_t)stack->tag, find_stack_locked(stack->pcs + skip, pc_count));
	pthread_mutex_unlock(&books.lock);
}

static void *map_zeroed(size_t size_bytes)
{
	void *map = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* Memory from mmap: the books must not appear in themselves, and cost only what is used of them. */
static int open_books(void)
{
	if (books.ring)
		return 0;
	books.samples = map_zeroed((HEAP_LIVE_MAX + 1) * sizeof(*books.samples));
	books.entries = map_zeroed(HEAP_STACKS_MAX * sizeof(*books.entries));
	books.filter = map_zeroed(FILTER_CELLS * sizeof(*books.filter));
	if (!books.samples || !books.entries || !books.filter)
		return -ENOMEM;
	books.unused = 1;
	books.entry_count = 1; /* NO_STACK */
	return probe_ring_create("heap", RING_SLOTS, on_stack, NULL, &books.ring);
}

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER; /* one start at a time */

int heap_sampler_start(size_t rate_bytes)
{
	int err;

	if (!MallocHook_AddNewHook || !MallocHook_AddDeleteHook)
		return -ENOTSUP;
	if (rate_bytes < HEAP_RATE_MIN_BYTES)
		return -EINVAL;
	probe_observe_begin();
	pthread_mutex_lock(&start_lock);
	err = open_books();
	if (!err) {
		atomic_store(&books.last_rate_bytes, rate_bytes);
		atomic_store(&books.rate_bytes, rate_bytes);
		if (!books.hooked)
			books.hooked = MallocHook_AddNewHook(on_new) &&
				       MallocHook_AddDeleteHook(on_delete);
		if (!books.hooked)
			err = -EBUSY;
	}
	pthread_mutex_unlock(&start_lock);
	probe_observe_end();
	return err;
}

void heap_sampler_stop(void)
{
	atomic_store(&books.rate_bytes, 0);
}

bool heap_sampler_running(void)
{
	return atomic_load(&books.rate_bytes) > 0;
}

struct heap_snapshot *heap_snapshot(void)
{
	struct heap_snapshot *snapshot;

	if (!books.ring)
		return NULL;
	probe_observe_begin();
	probe_ring_flush(books.ring);
	snapshot = xmalloc(sizeof(*snapshot) + HEAP_STACKS_MAX * sizeof(snapshot->entries[0]));
	snapshot->time_ns = clock_realtime_ns();
	snapshot->rate_bytes = atomic_load(&books.last_rate_bytes);
	pthread_mutex_lock(&books.lock);
	snapshot->lost_count = books.lost_count;
	snapshot->entry_count = books.entry_count;
	memcpy(snapshot->entries, books.entries, books.entry_count * sizeof(snapshot->entries[0]));
	pthread_mutex_unlock(&books.lock);
	probe_observe_end();
	return snapshot;
}
