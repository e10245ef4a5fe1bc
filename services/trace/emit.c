/* The emitters: what trace.h promises, into the calling thread's ring. */
#include "trace/trace.h"

#include <string.h>

#include "trace/writer.h"

static atomic_uint_fast64_t last_number;

/* Flows and slices of no thread have their numbers from here: 1, 2, 3 ... */
static uint64_t next_number(void)
{
	return 1 + atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed);
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
	is_admitted = is_admitted && writer_put_within(writer, &record, writer->depth + 1);
	if (is_admitted)
		writer->depth++;
	else
		writer->muted_depth++;
	writer->is_skipping_details = !is_admitted;
}

/* Within what is left out, a thread only counts: nothing of that is anybody else's. */
static bool is_muted_begin(void)
{
	struct writer *muted = writer_muted();

	if (muted)
		muted->muted_depth++;
	return muted != NULL;
}

void trace_emit_begin(const char *name)
{
	struct writer *writer;

	if (is_muted_begin())
		return;
	writer = writer_enter();
	if (!writer)
		return;
	begin(writer, name, writer_admits(writer));
	writer_leave(writer);
}

void trace_emit_begin_of(const char *name, uint64_t request)
{
	struct writer *writer;

	if (is_muted_begin())
		return;
	writer = writer_enter();
	if (!writer)
		return;
	begin(writer, name, request != 0);
	writer_leave(writer);
}

void trace_emit_end(void)
{
	struct record record = record_of(RECORD_END, 0);
	struct writer *writer = writer_muted();

	if (writer) {
		writer->muted_depth--;
		return;
	}
	writer = writer_enter();
	if (!writer)
		return;
	if (writer->depth > 0)
		(void)writer_put_within(writer, &record, --writer->depth);
	writer->is_skipping_details = true;
	writer_leave(writer);
}

void trace_emit_instant(const char *name)
{
	struct record record = record_of(RECORD_INSTANT, 1);
	struct writer *writer = writer_enter();

	if (!writer)
		return;
	record.words[0] = (uintptr_t)name;
	writer->is_skipping_details = !writer_admits(writer) ||
				      !writer_put_within(writer, &record, writer->depth);
	writer_leave(writer);
}

void trace_emit_counter(const char *name, int64_t value)
{
	struct record record = record_of(RECORD_COUNTER, 2);
	struct writer *writer = writer_enter();

	if (!writer)
		return;
	record.words[0] = (uintptr_t)name;
	record.words[1] = (uint64_t)value;
	if (writer_admits(writer))
		writer_put(writer, &record);
	writer_leave(writer);
}

/* ---- details ---- */

static void put_detail(struct record *record)
{
	struct writer *writer;

	if (writer_muted())
		return;
	writer = writer_enter();
	if (!writer)
		return;
	if (!writer->is_skipping_details)
		(void)writer_put_within(writer, record, writer->depth);
	writer_leave(writer);
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

	if (!writer_is_wanted())
		return 0;
	writer = writer_enter();
	if (!writer)
		return 0;
	record.words[0] = (uintptr_t)name;
	record.words[1] = next_number();
	if (writer_admits(writer) && writer_put_within(writer, &record, writer->depth))
		number = record.words[1];
	writer->is_skipping_details = number == 0;
	writer_leave(writer);
	return number;
}

static void put_async(struct record *record)
{
	struct writer *writer = writer_enter();

	if (!writer)
		return;
	writer_put(writer, record);
	writer_leave(writer);
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
