#include "trace/births.h"

#include <string.h>

#include "common/clock.h"
#include "probe/thread.h"
#include "trace/writer.h"
#include "trace/trace.h"

static uint64_t words[RING_WORDS];
static struct ring ring = {.words = words}; /* written with the list of threads locked */
static atomic_uint_fast64_t dropped_count;

static void put(const struct probe_thread *thread, struct record *record)
{
	if (thread->observer)
		return;
	record->time_ns = clock_monotonic_ns();
	record->flags = 0;
	record->words[0] = thread->number;
	record->words[1] = (uint64_t)thread->tid;
	if (!ring_put(&ring, record, 0))
		atomic_fetch_add_explicit(&dropped_count, 1, memory_order_relaxed);
}

static void on_start(struct probe_thread *thread)
{
	struct record record = {.kind = RECORD_THREAD_START, .word_count = 3};

	if (!trace_is_on())
		return;
	record.words[2] = thread->created_by_pc;
	put(thread, &record);
}

static void on_end(struct probe_thread *thread)
{
	struct record record = {
		.kind = RECORD_THREAD_END,
		.word_count = 2 + sizeof(thread->name) / sizeof(uint64_t),
	};

	if (!trace_is_on())
		return;
	memcpy(&record.words[2], thread->name, sizeof(thread->name));
	put(thread, &record);
}

void births_init(void)
{
	static const struct probe_thread_listener listener = {
		.on_start = on_start,
		.on_end = on_end,
	};

	probe_thread_subscribe(&listener);
}

struct ring *births_ring(void)
{
	return &ring;
}

uint64_t births_dropped_count(void)
{
	return atomic_load(&dropped_count);
}
