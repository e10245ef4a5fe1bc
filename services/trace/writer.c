#include "trace/writer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/thread.h"
#include "trace/trace.h"

#define SET_BITS 64
#define SET_COUNT (WRITERS_MAX / SET_BITS)
#define END_WORDS 2
#define STOP_MAX_MS 1000

atomic_bool trace_listening;

static struct writer writers[WRITERS_MAX];
static _Atomic(uint64_t) free_writers[SET_COUNT]; /* a bit for each that nobody has */
static atomic_uint session;
static atomic_int_fast64_t credit_bytes, cost_bytes, overdraft_bytes;
static atomic_uint_fast64_t dropped_count, thinned_count, admitted_count;

static __thread struct writer *self;
static __thread bool self_has_ended;
static __thread bool is_inside; /* of an emitter: who finds it so is a signal handler */

/* ---- writers ---- */

/* In the thread that ends: nothing is said after this. */
static void on_thread_end(struct probe_thread *thread)
{
	(void)thread;
	self_has_ended = true;
	if (!self)
		return;
	atomic_store_explicit(&self->has_ended, true, memory_order_release);
	self = NULL;
}

int writers_init(void)
{
	static const struct probe_thread_listener listener = {.on_end = on_thread_end};
	size_t ring_bytes = RING_WORDS * sizeof(uint64_t);
	char *rings = mmap(NULL, WRITERS_MAX * ring_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (rings == MAP_FAILED)
		return -errno;
	/* Most of it is never used, and a core is no place for the rest: without, it is larger. */
	(void)madvise(rings, WRITERS_MAX * ring_bytes, MADV_DONTDUMP);
	for (size_t i = 0; i < WRITERS_MAX; i++)
		writers[i].ring.words = (uint64_t *)(void *)(rings + i * ring_bytes);
	for (size_t i = 0; i < SET_COUNT; i++)
		atomic_store(&free_writers[i], ~0ull);
	probe_thread_subscribe(&listener);
	return 0;
}

static struct writer *take_free_one(void)
{
	for (size_t i = 0; i < SET_COUNT; i++) {
		uint64_t set = atomic_load_explicit(&free_writers[i], memory_order_relaxed);

		while (set)
			if (atomic_compare_exchange_weak_explicit(&free_writers[i], &set,
				    set & (set - 1), memory_order_acquire, memory_order_relaxed))
				return &writers[i * SET_BITS + (size_t)__builtin_ctzll(set)];
	}
	return NULL;
}

uint64_t writer_track_of(uint64_t number, pid_t tid)
{
	/* Threads that are not in the list have their tid only; other tracks count down from the top. */
	return number ? number << 32 | (uint32_t)tid : (uint64_t)tid;
}

static struct writer *take_writer(void)
{
	const struct probe_thread *thread = probe_thread_self();
	struct writer *writer = take_free_one();

	if (!writer)
		return NULL;
	writer->tid = thread ? thread->tid : gettid();
	writer->session = 0;
	atomic_store_explicit(&writer->has_ended, false, memory_order_relaxed);
	atomic_store_explicit(&writer->track,
		writer_track_of(thread ? thread->number : 0, writer->tid), memory_order_release);
	return writer;
}

void writer_release(struct writer *writer)
{
	size_t number = (size_t)(writer - writers);

	/* Who has it next may be seen before it was looked at. */
	writer->is_last = false;
	atomic_store_explicit(&writer->track, 0, memory_order_relaxed);
	atomic_fetch_or_explicit(
		&free_writers[number / SET_BITS], 1ull << number % SET_BITS, memory_order_release);
}

void writers_visit(void (*visit)(struct writer *writer, void *context), void *context)
{
	for (size_t i = 0; i < WRITERS_MAX; i++)
		if (atomic_load_explicit(&writers[i].track, memory_order_acquire))
			visit(&writers[i], context);
}

static bool observes(void)
{
	const struct probe_thread *thread = probe_thread_self();

	return probe_observing() || (thread && thread->observer);
}

struct writer *writer_enter(void)
{
	unsigned now;

	if (self_has_ended || observes())
		return NULL;
	if (is_inside)
		goto drop;
	is_inside = true;
	atomic_signal_fence(memory_order_seq_cst);
	if (!self)
		self = take_writer();
	if (!self) {
		is_inside = false;
		goto drop;
	}
	/* In this order, of all threads: writers_stop() does the reverse. */
	atomic_store(&self->is_busy, true);
	if (!atomic_load(&trace_listening)) {
		writer_leave(self);
		return NULL;
	}
	now = atomic_load_explicit(&session, memory_order_relaxed);
	if (self->session != now) {
		self->session = now;
		self->depth = self->muted_depth = 0;
		self->is_skipping_details = true;
	}
	return self;
drop:
	atomic_fetch_add_explicit(&dropped_count, 1, memory_order_relaxed);
	return NULL;
}

void writer_leave(struct writer *writer)
{
	atomic_store_explicit(&writer->is_busy, false, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	is_inside = false;
}

/* ---- sessions ---- */

void writers_start(int64_t bytes)
{
	atomic_store(&credit_bytes, bytes);
	atomic_store(&overdraft_bytes, bytes);
	atomic_store(&dropped_count, 0);
	atomic_store(&thinned_count, 0);
	for (size_t i = 0; i < WRITERS_MAX; i++)
		atomic_store(&writers[i].thinned_count, 0);
	atomic_store(&admitted_count, 0);
	atomic_fetch_add(&session, 1);
	atomic_store(&trace_listening, true);
}

bool writers_stop(void)
{
	static const struct timespec pause = {.tv_nsec = CLOCK_NS_PER_MS};
	int waited_ms = 0;

	atomic_store(&trace_listening, false);
	/* An emitter takes less than a microsecond, unless its thread has lost the CPU just there. */
	for (size_t i = 0; i < WRITERS_MAX; i++)
		while (atomic_load(&writers[i].is_busy)) {
			if (waited_ms++ == STOP_MAX_MS)
				return false;
			nanosleep(&pause, NULL);
		}
	return true;
}

void writers_add_credit(int64_t bytes, int64_t limit_bytes)
{
	int64_t sum = atomic_fetch_add(&credit_bytes, bytes) + bytes;

	if (sum > limit_bytes)
		atomic_fetch_sub(&credit_bytes, sum - limit_bytes);
}

void writers_set_cost(int64_t bytes)
{
	atomic_store(&cost_bytes, bytes);
}

struct writer_counts writer_counts(void)
{
	struct writer_counts counts = {
		.dropped = atomic_load(&dropped_count),
		.thinned = atomic_load(&thinned_count),
		.admitted = atomic_load(&admitted_count),
	};

	for (size_t i = 0; i < WRITERS_MAX; i++)
		counts.thinned += atomic_load(&writers[i].thinned_count);
	return counts;
}

/* ---- what is recorded ---- */

/* Under load most are: each thread counts its own, where it can. */
static void count_thinned(void)
{
	if (self)
		atomic_store_explicit(&self->thinned_count,
			atomic_load_explicit(&self->thinned_count, memory_order_relaxed) + 1,
			memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&thinned_count, 1, memory_order_relaxed);
}

/* A whole outermost slice, or nothing of it. */
static bool take_credit(void)
{
	if (atomic_load_explicit(&credit_bytes, memory_order_relaxed) <= 0) {
		count_thinned();
		return false;
	}
	atomic_fetch_sub_explicit(&credit_bytes,
		atomic_load_explicit(&cost_bytes, memory_order_relaxed), memory_order_relaxed);
	atomic_fetch_add_explicit(&admitted_count, 1, memory_order_relaxed);
	return true;
}

bool writer_admits(struct writer *writer)
{
	if (writer->muted_depth > 0)
		return false;
	if (writer->depth == 0)
		return take_credit();
	/* A slice without end must not make a trace without end. */
	if (atomic_load_explicit(&credit_bytes, memory_order_relaxed) >=
		-atomic_load_explicit(&overdraft_bytes, memory_order_relaxed))
		return true;
	atomic_fetch_add_explicit(&dropped_count, 1, memory_order_relaxed);
	return false;
}

static bool is_in_session(const struct writer *writer)
{
	return writer && writer->session == atomic_load_explicit(&session, memory_order_relaxed);
}

struct writer *writer_muted(void)
{
	return is_in_session(self) && self->muted_depth > 0 ? self : NULL;
}

bool writer_is_wanted(void)
{
	if (writer_muted())
		return false;
	if ((is_in_session(self) && self->depth > 0) ||
		atomic_load_explicit(&credit_bytes, memory_order_relaxed) > 0)
		return true;
	count_thinned();
	return false;
}

bool writer_put_within(struct writer *writer, struct record *record, unsigned open_depth)
{
	if (record->time_ns == 0)
		record->time_ns = clock_monotonic_ns();
	if (ring_put(&writer->ring, record, (size_t)open_depth * END_WORDS))
		return true;
	atomic_fetch_add_explicit(&dropped_count, 1, memory_order_relaxed);
	return false;
}

void writer_put(struct writer *writer, struct record *record)
{
	(void)writer_put_within(writer, record, writer->depth);
	writer->is_skipping_details = true;
}
