#include "trace/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/string_table.h"
#include "probe/symbolize.h"
#include "probe/syscall.h"
#include "probe/thread.h"
#include "probe/wait.h"
#include "trace/births.h"
#include "trace/emit.h"
#include "trace/requests.h"
#include "trace/stacks.h"
#include "trace/tracks.h"

/* Apart from the numbers of threads' tracks and requests'. */
#define COUNTER_TRACK_BASE 0x51CBA70200000000u

struct reader {
	struct encoder *encoder;
	int64_t start_ns;
	struct tracks *tracks;
	struct requests *requests;
	struct string_table counters; /* by name: the track is the base and the position */
};

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
	emit_visit(forget_held, NULL);
	tracks_free(reader->tracks);
	requests_free(reader->requests);
	string_table_free(&reader->counters);
	free(reader);
}

/* ---- what a thread did ---- */

static const void *pointer(uint64_t word)
{
	return (const void *)(uintptr_t)word;
}

static struct encoder_event event_at(
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

	*event = event_at(reader, type, writer->track, record->time_ns);
	if (category) {
		event->name = pointer(record->words[0]);
		event->category = category;
	}
	writer->held->is_held = true;
}

/* A slice that is known only when it is over. */
static void put_whole(struct reader *reader, struct held_event *begin, int64_t end_ns)
{
	struct encoder_event end = event_at(reader, ENCODER_END, begin->event.track, end_ns);

	begin->is_held = true;
	held_event_put(begin, reader->encoder);
	encode_event(reader->encoder, &end);
}

/* The stack begins in probe; the program's part of it begins at who called FUNCTION. */
static void set_caller(
	struct encoder_event *event, const struct depot_stack *stack, const char *function)
{
	size_t first = 0;

	for (size_t i = 0; i < stack->pc_count && first == 0; i++) {
		const struct probe_symbol *symbol = probe_symbolize(stack->pcs[i]);

		if (strcmp(symbol->frames[symbol->frame_count - 1].function, function) == 0)
			first = i + 1;
	}
	event->pcs = stack->pcs + first;
	event->pc_count = stack->pc_count - first;
}

static void read_syscall(
	struct reader *reader, const struct writer *writer, const struct record *record)
{
	const struct probe_syscall_call *call = pointer(record->words[1]);
	int fd = (int)(int64_t)record->words[2];
	int64_t size_bytes = (int64_t)record->words[3], result = (int64_t)record->words[4];
	const struct depot_stack *stack = stacks_of(record->words[5]);
	struct held_event begin = {
		event_at(reader, ENCODER_BEGIN, writer->track, record->time_ns), true};

	begin.event.name = call->syscall;
	begin.event.category = "syscall";
	if (strcmp(call->function, call->syscall) != 0)
		held_event_add_text(&begin, "function", call->function);
	if (record->word_count > 6)
		held_event_add_text(&begin, "path", (const char *)&record->words[6]);
	if (fd >= 0)
		held_event_add_number(&begin, "fd", fd);
	if (size_bytes >= 0)
		held_event_add_number(&begin, "size", size_bytes);
	if (result < 0 && strerrorname_np((int)-result))
		held_event_add_text(&begin, "error", strerrorname_np((int)-result));
	else
		held_event_add_number(&begin, "result", result);
	if (stack)
		set_caller(&begin.event, stack, call->function);
	put_whole(reader, &begin, (int64_t)record->words[0]);
}

static struct held_event wait_event(const struct reader *reader, uint64_t track,
	const struct probe_wait_call *call, const void *object, int64_t since_ns)
{
	struct held_event begin = {event_at(reader, ENCODER_BEGIN, track, since_ns), true};
	uintptr_t offset;
	const char *name = object ? probe_variable_name((uintptr_t)object, &offset) : NULL;

	begin.event.name = call->function;
	begin.event.category = "wait";
	if (name)
		held_event_add_text(&begin, "for", name);
	return begin;
}

static void read_wait(
	struct reader *reader, const struct writer *writer, const struct record *record)
{
	struct held_event begin = wait_event(reader, writer->track, pointer(record->words[1]),
		pointer(record->words[2]), record->time_ns);

	put_whole(reader, &begin, (int64_t)record->words[0]);
}

/* Of the record before, or of the event that is held: true if that was all. */
static bool read_detail(struct held_event *held, const struct record *record)
{
	switch (record->kind) {
	case RECORD_NUMBER:
		held_event_add_number(held, pointer(record->words[0]), (int64_t)record->words[1]);
		return true;
	case RECORD_TEXT:
		held_event_add_text(
			held, pointer(record->words[0]), (const char *)&record->words[1]);
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
		reader_count(reader, pointer(record->words[0]), "count", record->time_ns,
			(int64_t)record->words[1]);
		break;
	case RECORD_ASYNC_BEGIN:
		writer->request = record->words[1];
		requests_begin(reader->requests, record->words[1], pointer(record->words[0]),
			record->time_ns);
		break;
	case RECORD_ASYNC_NUMBER:
		requests_add_number(reader->requests, record->words[0], pointer(record->words[1]),
			(int64_t)record->words[2]);
		break;
	case RECORD_ASYNC_END:
		requests_end(reader->requests, record->words[0], record->time_ns);
		break;
	case RECORD_SYSCALL:
		read_syscall(reader, writer, record);
		break;
	case RECORD_WAIT:
		read_wait(reader, writer, record);
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
		emit_release(writer);
	}
}

/* ---- threads that begin and end ---- */

static void read_thread_start(struct reader *reader, const struct record *record)
{
	uint64_t track = emit_track_of(record->words[0], (pid_t)record->words[1]);
	const struct depot_stack *creator = tracks_creator(reader->tracks, track);
	uintptr_t pc = (uintptr_t)record->words[2];
	struct held_event start = {event_at(reader, ENCODER_INSTANT, track, record->time_ns), true};

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
	uint64_t track = emit_track_of(record->words[0], (pid_t)record->words[1]);
	struct encoder_event end = event_at(reader, ENCODER_INSTANT, track, record->time_ns);

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
				emit_track_of(record.words[0], (pid_t)record.words[1]),
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
	emit_visit(look_at_writer, reader);
	/* The stacks of what was recorded until then were captured before. */
	stacks_flush();
	read_births(reader);
	emit_visit(read_writer, reader);
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
		emit_release(writer);
}

void reader_discard(void)
{
	uint32_t head = ring_head(births_ring());
	struct record record;

	emit_visit(discard_writer, NULL);
	while (ring_take(births_ring(), head, &record))
		;
}

/* ---- the end ---- */

struct waiting {
	struct {
		pid_t tid;
		struct probe_wait wait;
	} * all;
	size_t count, cap;
};

static void see_waiting(pid_t tid, const struct probe_wait *wait, void *context)
{
	struct waiting *waiting = context;

	if (waiting->count == waiting->cap) {
		waiting->cap = waiting->cap ? 2 * waiting->cap : 64;
		waiting->all = xrealloc(waiting->all, waiting->cap, sizeof(*waiting->all));
	}
	waiting->all[waiting->count].tid = tid;
	waiting->all[waiting->count++].wait = *wait;
}

/* Waits that have not ended are nobody's records: the threads' marks say so. */
static void put_waiting(struct reader *reader)
{
	struct waiting waiting = {0};

	probe_wait_for_each(see_waiting, &waiting);
	for (size_t i = 0; i < waiting.count; i++) {
		const struct probe_wait *wait = &waiting.all[i].wait;
		uint64_t track = tracks_find(reader->tracks, waiting.all[i].tid);
		struct held_event begin;

		if (track == 0)
			continue;
		begin = wait_event(reader, track, wait->call, wait->object, wait->since_ns);
		held_event_put(&begin, reader->encoder);
	}
	free(waiting.all);
}

static void put_held(struct writer *writer, void *context)
{
	const struct reader *reader = context;

	if (writer->held)
		held_event_put(writer->held, reader->encoder);
}

void reader_finish(struct reader *reader)
{
	emit_visit(put_held, reader);
	requests_turn(reader->requests, true);
	tracks_add_silent(reader->tracks);
	tracks_look(reader->tracks);
	put_waiting(reader);
}

void reader_count(
	struct reader *reader, const char *name, const char *unit, int64_t time_ns, int64_t value)
{
	size_t known_count = reader->counters.count;
	uint64_t track = COUNTER_TRACK_BASE + string_table_add(&reader->counters, name);
	struct encoder_event event = event_at(reader, ENCODER_COUNTER, track, time_ns);

	if (reader->counters.count > known_count)
		encode_counter_track(reader->encoder, track, name, unit);
	event.value = value;
	encode_event(reader->encoder, &event);
}
