#include "trace/reader_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "probe/symbolize.h"
#include "probe/thread.h"
#include "trace/births.h"
#include "trace/stacks.h"

/* Apart from the numbers of threads' tracks and requests'. */
#define COUNTER_TRACK_BASE 0x51CBA70200000000u

struct reader *reader_create(struct encoder *encoder, int64_t start_ns)
{
	struct reader *reader = xcalloc(1, sizeof(*reader));

	reader->encoder = encoder;
	reader->start_ns = start_ns;
	reader->tracks = tracks_create(encoder);
	reader->requests = requests_create(encoder);
	return reader;
}

static void forget_held(struct writer *writer, void *context)
{
	(void)context;
	if (writer->held)
		held_event_clear(writer->held);
	free(writer->held);
	writer->held = NULL;
}

void reader_free(struct reader *reader)
{
	if (!reader)
		return;
	writers_visit(forget_held, NULL);
	tracks_free(reader->tracks);
	requests_free(reader->requests);
	string_table_free(&reader->counters);
	free(reader);
}

/* ---- what a thread did ---- */

struct encoder_event reader_event_at(
	const struct reader *reader, enum encoder_type type, uint64_t track, int64_t time_ns)
{
	return (struct encoder_event){
		.type = type,
		.track = track,
		.time_ns = time_ns < reader->start_ns ? reader->start_ns : time_ns,
	};
}

static void hold(struct reader *reader, struct writer *writer, enum encoder_type type,
	const struct record *record, const char *category)
{
	struct encoder_event *event = &writer->held->event;

	*event = reader_event_at(reader, type, writer->track, record->time_ns);
	if (category) {
		event->name = reader_pointer(record->words[0]);
		event->category = category;
	}
	writer->held->is_held = true;
}

/* Of the record before, or of the event that is held: true if that was all. */
static bool read_detail(struct held_event *held, const struct record *record)
{
	switch (record->kind) {
	case RECORD_NUMBER:
		held_event_add_number(
			held, reader_pointer(record->words[0]), (int64_t)record->words[1]);
		return true;
	case RECORD_TEXT:
		held_event_add_text(
			held, reader_pointer(record->words[0]), (const char *)&record->words[1]);
		return true;
	case RECORD_FLOW:
		held->event.flow = record->words[0];
		held->event.flow_ends = record->flags;
		return true;
	default:
		return false;
	}
}

static void read_event(struct reader *reader, struct writer *writer, const struct record *record)
{
	switch ((enum record_kind)record->kind) {
	case RECORD_BEGIN:
		hold(reader, writer, ENCODER_BEGIN, record, "function");
		break;
	case RECORD_END:
		hold(reader, writer, ENCODER_END, record, NULL);
		break;
	case RECORD_INSTANT:
		hold(reader, writer, ENCODER_INSTANT, record, "event");
		break;
	case RECORD_COUNTER:
		reader_count(reader, reader_pointer(record->words[0]), "count", record->time_ns,
			(int64_t)record->words[1]);
		break;
	case RECORD_ASYNC_BEGIN:
		writer->request = record->words[1];
		requests_begin(reader->requests, record->words[1], reader_pointer(record->words[0]),
			record->time_ns);
		break;
	case RECORD_ASYNC_NUMBER:
		requests_add_number(reader->requests, record->words[0],
			reader_pointer(record->words[1]), (int64_t)record->words[2]);
		break;
	case RECORD_ASYNC_END:
		requests_end(reader->requests, record->words[0], record->time_ns);
		break;
	case RECORD_SYSCALL:
		reader_read_syscall(reader, writer, record);
		break;
	case RECORD_WAIT:
		reader_read_wait(reader, writer, record);
		break;
	default:
		break;
	}
}

/* The request that was begun just now, or the thread's own event. */
static struct held_event *detailed(struct reader *reader, const struct writer *writer)
{
	return writer->request ? requests_held(reader->requests, writer->request) : writer->held;
}

static void read_writer(struct writer *writer, void *context)
{
	struct reader *reader = context;
	struct record record;

	if (!writer->held)
		writer->held = xcalloc(1, sizeof(*writer->held));
	while (ring_take(&writer->ring, writer->read_until, &record)) {
		/* From before the trace, by a thread that was late. */
		if (record.time_ns < reader->start_ns && record.kind != RECORD_WAIT)
			continue;
		if (read_detail(detailed(reader, writer), &record))
			continue;
		held_event_put(writer->held, reader->encoder);
		writer->request = 0;
		read_event(reader, writer, &record);
	}
	if (writer->is_last) {
		held_event_put(writer->held, reader->encoder);
		forget_held(writer, NULL);
		writer_release(writer);
	}
}

/* ---- threads that begin and end ---- */

static void read_thread_start(struct reader *reader, const struct record *record)
{
	uint64_t track = writer_track_of(record->words[0], (pid_t)record->words[1]);
	const struct depot_stack *creator = tracks_creator(reader->tracks, track);
	uintptr_t pc = (uintptr_t)record->words[2];
	struct held_event start = {
		reader_event_at(reader, ENCODER_INSTANT, track, record->time_ns), true};

	start.event.name = "thread start";
	start.event.category = "thread";
	if (pc)
		held_event_add_text(&start, "created_by", probe_symbolize(pc)->frames[0].function);
	if (creator) {
		start.event.pcs = creator->pcs;
		start.event.pc_count = creator->pc_count;
	}
	held_event_put(&start, reader->encoder);
}

static void read_thread_end(struct reader *reader, const struct record *record)
{
	uint64_t track = writer_track_of(record->words[0], (pid_t)record->words[1]);
	struct encoder_event end = reader_event_at(reader, ENCODER_INSTANT, track, record->time_ns);

	tracks_add(reader->tracks, track, (pid_t)record->words[1], (const char *)&record->words[2]);
	end.name = "thread end";
	end.category = "thread";
	encode_event(reader->encoder, &end);
}

static void read_births(struct reader *reader)
{
	uint32_t head = ring_head(births_ring());
	struct strbuf records = STRBUF_INIT;
	const struct record *all;
	struct record record;
	size_t count;

	while (ring_take(births_ring(), head, &record)) {
		if (record.kind == RECORD_THREAD_START)
			tracks_add(reader->tracks,
				writer_track_of(record.words[0], (pid_t)record.words[1]),
				(pid_t)record.words[1], NULL);
		strbuf_add(&records, &record, sizeof(record));
	}
	/* Who created them is known a little later than that they are there. */
	if (records.len_bytes > 0)
		probe_births_flush();
	tracks_look(reader->tracks);
	all = (const struct record *)(const void *)records.data;
	count = records.len_bytes / sizeof(record);
	for (size_t i = 0; i < count; i++) {
		if (all[i].time_ns < reader->start_ns)
			continue;
		if (all[i].kind == RECORD_THREAD_START)
			read_thread_start(reader, &all[i]);
		else
			read_thread_end(reader, &all[i]);
	}
	strbuf_free(&records);
}

/* ---- turns ---- */

/* In this order: who had ended before its ring was looked at says nothing after. */
static void look_at_writer(struct writer *writer, void *context)
{
	struct reader *reader = context;

	writer->is_last = atomic_load_explicit(&writer->has_ended, memory_order_acquire);
	writer->read_until = ring_head(&writer->ring);
	if (reader)
		tracks_add(reader->tracks, writer->track, writer->tid, NULL);
}

void reader_turn(struct reader *reader)
{
	writers_visit(look_at_writer, reader);
	/* The stacks of what was recorded until then were captured before. */
	stacks_flush();
	read_births(reader);
	writers_visit(read_writer, reader);
	requests_turn(reader->requests, false);
}

static void discard_writer(struct writer *writer, void *context)
{
	struct record record;

	look_at_writer(writer, NULL);
	forget_held(writer, context);
	while (ring_take(&writer->ring, writer->read_until, &record))
		;
	if (writer->is_last)
		writer_release(writer);
}

void reader_discard(void)
{
	uint32_t head = ring_head(births_ring());
	struct record record;

	writers_visit(discard_writer, NULL);
	while (ring_take(births_ring(), head, &record))
		;
}

/* ---- the end ---- */

static void put_held(struct writer *writer, void *context)
{
	const struct reader *reader = context;

	if (writer->held)
		held_event_put(writer->held, reader->encoder);
}

void reader_finish(struct reader *reader)
{
	writers_visit(put_held, reader);
	requests_turn(reader->requests, true);
	tracks_add_silent(reader->tracks);
	tracks_look(reader->tracks);
	reader_put_waiting(reader);
}

void reader_count(
	struct reader *reader, const char *name, const char *unit, int64_t time_ns, int64_t value)
{
	size_t known_count = reader->counters.count;
	uint64_t track = COUNTER_TRACK_BASE + string_table_add(&reader->counters, name);
	struct encoder_event event = reader_event_at(reader, ENCODER_COUNTER, track, time_ns);

	if (reader->counters.count > known_count)
		encode_counter_track(reader->encoder, track, name, unit);
	event.value = value;
	encode_event(reader->encoder, &event);
}
