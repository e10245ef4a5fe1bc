#include "trace/emit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/thread.h"
#include "trace/trace.h"

#define SET_BITS 64
#define SET_COUNT (EMIT_WRITERS_MAX / SET_BITS)
#define END_WORDS 2
#define STOP_MAX_MS 1000

atomic_bool trace_listening;

static struct writer writers[EMIT_WRITERS_MAX];
static _Atomic(uint64_t) free_writers[SET_COUNT]; /* a bit for each that nobody has */
static atomic_uint session;
static atomic_int_fast64_t credit_bytes, cost_bytes, overdraft_bytes;
static atomic_uint_fast64_t dropped_count, thinned_count, admitted_count, last_number;

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

int emit_init(void)
{
	static const struct probe_thread_listener listener = {.on_end = on_thread_end};
	size_t ring_bytes = RING_WORDS * sizeof(uint64_t);
	char *rings = mmap(NULL, EMIT_WRITERS_MAX * ring_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (rings == MAP_FAILED)
		return -errno;
	/* Most of it is never used, and a core is no place for the rest: without, it is larger. */
	(void)madvise(rings, EMIT_WRITERS_MAX * ring_bytes, MADV_DONTDUMP);
	for (size_t i = 0; i < EMIT_WRITERS_MAX; i++)
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

uint64_t emit_track_of(uint64_t number, pid_t tid)
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
		emit_track_of(thread ? thread->number : 0, writer->tid), memory_order_release);
	return writer;
}

void emit_release(struct writer *writer)
{
	size_t number = (size_t)(writer - writers);

	/* Who has it next may be seen before it was looked at. */
	writer->is_last = false;
	atomic_store_explicit(&writer->track, 0, memory_order_relaxed);
	atomic_fetch_or_explicit(
		&free_writers[number / SET_BITS], 1ull << number % SET_BITS, memory_order_release);
}

void emit_visit(void (*visit)(struct writer *writer, void *context), void *context)
{
	for (size_t i = 0; i < EMIT_WRITERS_MAX; i++)
		if (atomic_load_explicit(&writers[i].track, memory_order_acquire))
			visit(&writers[i], context);
}

static bool observes(void)
{
	const struct probe_thread *thread = probe_thread_self();

	return probe_observing() || (thread && thread->observer);
}

struct writer *emit_enter(void)
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
	/* In this order, of all threads: emit_stop() does the reverse. */
	atomic_store(&self->is_busy, true);
	if (!atomic_load(&trace_listening)) {
		emit_leave(self);
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

void emit_leave(struct writer *writer)
{
	atomic_store_explicit(&writer->is_busy, false, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	is_inside = false;
}

/* ---- sessions ---- */

void emit_start(int64_t bytes)
{
	atomic_store(&credit_bytes, bytes);
	atomic_store(&overdraft_bytes, bytes);
	atomic_store(&dropped_count, 0);
	atomic_store(&thinned_count, 0);
	for (size_t i = 0; i < EMIT_WRITERS_MAX; i++)
		atomic_store(&writers[i].thinned_count, 0);
	atomic_store(&admitted_count, 0);
	atomic_fetch_add(&session, 1);
	atomic_store(&trace_listening, true);
}

bool emit_stop(void)
{
	static const struct timespec pause = {.tv_nsec = CLOCK_NS_PER_MS};
	int waited_ms = 0;

	atomic_store(&trace_listening, false);
	/* An emitter takes less than a microsecond, unless its thread has lost the CPU just there. */
	for (size_t i = 0; i < EMIT_WRITERS_MAX; i++)
		while (atomic_load(&writers[i].is_busy)) {
			if (waited_ms++ == STOP_MAX_MS)
				return false;
			nanosleep(&pause, NULL);
		}
	return true;
}

void emit_add_credit(int64_t bytes, int64_t limit_bytes)
{
	int64_t sum = atomic_fetch_add(&credit_bytes, bytes) + bytes;

	if (sum > limit_bytes)
		atomic_fetch_sub(&credit_bytes, sum - limit_bytes);
}

void emit_set_cost(int64_t bytes)
{
	atomic_store(&cost_bytes, bytes);
}

struct emit_counts emit_counts(void)
{
	struct emit_counts counts = {
		.dropped = atomic_load(&dropped_count),
		.thinned = atomic_load(&thinned_count),
		.admitted = atomic_load(&admitted_count),
	};

	for (size_t i = 0; i < EMIT_WRITERS_MAX; i++)
		counts.thinned += atomic_load(&writers[i].thinned_count);
	return counts;
}

/* Flows and slices of no thread have their numbers from here: 1, 2, 3 ... */
static uint64_t next_number(void)
{
	return 1 + atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed);
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

bool emit_admits(struct writer *writer)
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

bool emit_is_muted(void)
{
	return is_in_session(self) && self->muted_depth > 0;
}

bool emit_is_wanted(void)
{
	if (emit_is_muted())
		return false;
	if ((is_in_session(self) && self->depth > 0) ||
		atomic_load_explicit(&credit_bytes, memory_order_relaxed) > 0)
		return true;
	count_thinned();
	return false;
}

/*
 * Room for the ends of the slices that are open stays free: no slice is left open for want of it. A
 * record without a time is of now: the clock is read only for those that are recorded.
 */
static bool put(struct writer *writer, struct record *record, unsigned open_depth)
{
	if (record->time_ns == 0)
		record->time_ns = clock_monotonic_ns();
	if (ring_put(&writer->ring, record, (size_t)open_depth * END_WORDS))
		return true;
	atomic_fetch_add_explicit(&dropped_count, 1, memory_order_relaxed);
	return false;
}

void emit_put(struct writer *writer, struct record *record)
{
	(void)put(writer, record, writer->depth);
	writer->is_skipping_details = true;
}

static struct record record_of(enum record_kind kind, size_t word_count)
{
	struct record record;

	/* Not all of it: most of a record is never used. */
	record.time_ns = 0;
	record.kind = (uint16_t)kind;
	record.word_count = (uint16_t)word_count;
	record.flags = 0;
	return record;
}

static void begin(struct writer *writer, const char *name, bool is_admitted)
{
	struct record record = record_of(RECORD_BEGIN, 1);

	record.words[0] = (uintptr_t)name;
	is_admitted = is_admitted && put(writer, &record, writer->depth + 1);
	if (is_admitted)
		writer->depth++;
	else
		writer->muted_depth++;
	writer->is_skipping_details = !is_admitted;
}

/* Within what is left out, a thread only counts: nothing of that is anybody else's. */
static bool is_muted_begin(void)
{
	if (!emit_is_muted())
		return false;
	self->muted_depth++;
	return true;
}

void trace_emit_begin(const char *name)
{
	struct writer *writer;

	if (is_muted_begin())
		return;
	writer = emit_enter();
	if (!writer)
		return;
	begin(writer, name, emit_admits(writer));
	emit_leave(writer);
}

void trace_emit_begin_of(const char *name, uint64_t request)
{
	struct writer *writer;

	if (is_muted_begin())
		return;
	writer = emit_enter();
	if (!writer)
		return;
	begin(writer, name, request != 0);
	emit_leave(writer);
}

void trace_emit_end(void)
{
	struct record record = record_of(RECORD_END, 0);
	struct writer *writer;

	if (emit_is_muted()) {
		self->muted_depth--;
		return;
	}
	writer = emit_enter();
	if (!writer)
		return;
	if (writer->depth > 0)
		(void)put(writer, &record, --writer->depth);
	writer->is_skipping_details = true;
	emit_leave(writer);
}

void trace_emit_instant(const char *name)
{
	struct record record = record_of(RECORD_INSTANT, 1);
	struct writer *writer = emit_enter();

	if (!writer)
		return;
	record.words[0] = (uintptr_t)name;
	writer->is_skipping_details = !emit_admits(writer) || !put(writer, &record, writer->depth);
	emit_leave(writer);
}

void trace_emit_counter(const char *name, int64_t value)
{
	struct record record = record_of(RECORD_COUNTER, 2);
	struct writer *writer = emit_enter();

	if (!writer)
		return;
	record.words[0] = (uintptr_t)name;
	record.words[1] = (uint64_t)value;
	if (emit_admits(writer))
		emit_put(writer, &record);
	emit_leave(writer);
}

/* ---- details ---- */

static void put_detail(struct record *record)
{
	struct writer *writer;

	if (emit_is_muted())
		return;
	writer = emit_enter();
	if (!writer)
		return;
	if (!writer->is_skipping_details)
		(void)put(writer, record, writer->depth);
	emit_leave(writer);
}

void trace_emit_number(const char *key, int64_t value)
{
	struct record record = record_of(RECORD_NUMBER, 2);

	record.words[0] = (uintptr_t)key;
	record.words[1] = (uint64_t)value;
	put_detail(&record);
}

void trace_emit_text(const char *key, const char *text)
{
	size_t size_bytes = strnlen(text, TRACE_TEXT_MAX_BYTES - 1);
	size_t word_count = size_bytes / sizeof(uint64_t) + 1; /* a NUL in any case */
	struct record record = record_of(RECORD_TEXT, 1 + word_count);

	record.words[0] = (uintptr_t)key;
	record.words[word_count] = 0;
	memcpy(&record.words[1], text, size_bytes);
	put_detail(&record);
}

void trace_emit_flow(uint64_t flow, bool ends)
{
	struct record record = record_of(RECORD_FLOW, 1);

	record.words[0] = flow;
	record.flags = ends;
	put_detail(&record);
}

uint64_t trace_emit_flow_number(void)
{
	return next_number();
}

/* ---- slices of no thread ---- */

uint64_t trace_emit_async_begin(const char *name)
{
	struct record record = record_of(RECORD_ASYNC_BEGIN, 2);
	struct writer *writer;
	uint64_t number = 0;

	if (!emit_is_wanted())
		return 0;
	writer = emit_enter();
	if (!writer)
		return 0;
	record.words[0] = (uintptr_t)name;
	record.words[1] = next_number();
	if (emit_admits(writer) && put(writer, &record, writer->depth))
		number = record.words[1];
	writer->is_skipping_details = number == 0;
	emit_leave(writer);
	return number;
}

static void put_async(struct record *record)
{
	struct writer *writer = emit_enter();

	if (!writer)
		return;
	emit_put(writer, record);
	emit_leave(writer);
}

void trace_emit_async_number(uint64_t request, const char *key, int64_t value)
{
	struct record record = record_of(RECORD_ASYNC_NUMBER, 3);

	record.words[0] = request;
	record.words[1] = (uintptr_t)key;
	record.words[2] = (uint64_t)value;
	put_async(&record);
}

void trace_emit_async_end(uint64_t request)
{
	struct record record = record_of(RECORD_ASYNC_END, 1);

	record.words[0] = request;
	put_async(&record);
}
