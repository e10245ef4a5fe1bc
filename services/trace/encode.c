#include "trace/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "probe/symbolize.h"
#include "trace/encode_internal.h"

/*
 * Anything but small: recorders number their own sequences from 1, and files are put together.
 */
#define SEQUENCE_ID 0x51CBA7
#define PROCESS_TRACK 0x51CBA70000000001u
#define COUNTER_CPU_CLOCK 1
#define UNIT_COUNT 2
#define UNIT_BYTES 3
#define FRAME_TEXT_BYTES 256

/* ---- packets ---- */

/* Field 1 of Trace, a packet with its length. */
void encoder_put_packet(struct encoder *encoder, Perfetto__TracePacket *packet)
{
	size_t size_bytes, left;
	char *to;

	packet->has_trusted_packet_sequence_id = 1;
	packet->trusted_packet_sequence_id = SEQUENCE_ID;
	packet->has_sequence_flags = 1;
	packet->sequence_flags =
		encoder->has_begun
			? PERFETTO__TRACE_PACKET__SEQUENCE_FLAGS__SEQ_NEEDS_INCREMENTAL_STATE
			: PERFETTO__TRACE_PACKET__SEQUENCE_FLAGS__SEQ_INCREMENTAL_STATE_CLEARED;
	encoder->has_begun = true;
	size_bytes = perfetto__trace_packet__get_packed_size(packet);
	strbuf_add(encoder->out, "\x0a", 1);
	for (left = size_bytes; left >= 0x80; left >>= 7)
		strbuf_add(encoder->out, &(char){(char)(left | 0x80)}, 1);
	strbuf_add(encoder->out, &(char){(char)left}, 1);
	to = strbuf_reserve(encoder->out, size_bytes);
	perfetto__trace_packet__pack(packet, (uint8_t *)to);
	strbuf_grew(encoder->out, size_bytes);
}

void encoder_set_time(
	const struct encoder *encoder, Perfetto__TracePacket *packet, int64_t monotonic_ns)
{
	packet->has_timestamp = 1;
	packet->timestamp = (uint64_t)(monotonic_ns + encoder->boot_offset_ns);
}

/* ---- what is said once ---- */

void encoder_news_init(struct news *news)
{
	perfetto__interned_data__init(&news->data);
	news->string_count = 0;
}

uint64_t encoder_intern(struct news *news, struct string_table *table,
	Perfetto__InternedString ***list, size_t *list_count, const char *text)
{
	size_t known_count = table->count;
	size_t number = string_table_add(table, text);
	Perfetto__InternedString *string = &news->strings[news->string_count];

	if (number < known_count)
		return number + 1;
	perfetto__interned_string__init(string);
	string->has_iid = string->has_str = 1;
	string->iid = number + 1;
	string->str.data = (uint8_t *)table->texts[number];
	string->str.len = strlen(table->texts[number]);
	news->pointers[news->string_count] = string;
	if (*list_count == 0)
		*list = &news->pointers[news->string_count];
	(*list_count)++;
	news->string_count++;
	return number + 1;
}

/* ---- the beginning ---- */

static int64_t boot_offset_ns(void)
{
	struct timespec boot = {0};

	/* Its only failure is a kernel older than 2.6.39. */
	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	return boot.tv_sec * CLOCK_NS_PER_SEC + boot.tv_nsec - clock_monotonic_ns();
}

static void put_first(struct encoder *encoder)
{
	Perfetto__TracePacketDefaults defaults = PERFETTO__TRACE_PACKET_DEFAULTS__INIT;
	Perfetto__PerfSampleDefaults samples = PERFETTO__PERF_SAMPLE_DEFAULTS__INIT;
	Perfetto__PerfTimebase timebase = PERFETTO__PERF_TIMEBASE__INIT;
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;

	timebase.has_frequency = timebase.has_counter = 1;
	timebase.frequency = 100;
	timebase.counter = COUNTER_CPU_CLOCK;
	samples.timebase = &timebase;
	defaults.perf_sample_defaults = &samples;
	packet.trace_packet_defaults = &defaults;
	encoder_put_packet(encoder, &packet);
}

static void put_track(struct encoder *encoder, Perfetto__TrackDescriptor *track)
{
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;

	packet.track_descriptor = track;
	encoder_put_packet(encoder, &packet);
}

struct encoder *encoder_create(pid_t pid, const char *process_name, struct strbuf *out)
{
	struct encoder *encoder = xcalloc(1, sizeof(*encoder));
	Perfetto__TrackDescriptor track = PERFETTO__TRACK_DESCRIPTOR__INIT;
	Perfetto__ProcessDescriptor process = PERFETTO__PROCESS_DESCRIPTOR__INIT;

	encoder->out = out;
	encoder->pid = pid;
	encoder->boot_offset_ns = boot_offset_ns();
	put_first(encoder);
	process.has_pid = 1;
	process.pid = pid;
	process.process_name = (char *)process_name;
	track.has_uuid = 1;
	track.uuid = PROCESS_TRACK;
	track.process = &process;
	put_track(encoder, &track);
	return encoder;
}

void encoder_free(struct encoder *encoder)
{
	if (!encoder)
		return;
	string_table_free(&encoder->categories);
	string_table_free(&encoder->names);
	string_table_free(&encoder->keys);
	encoder_free_stacks(encoder);
	free(encoder);
}

/* ---- tracks ---- */

void encode_thread_track(struct encoder *encoder, uint64_t number, pid_t tid, const char *name)
{
	Perfetto__TrackDescriptor track = PERFETTO__TRACK_DESCRIPTOR__INIT;
	Perfetto__ThreadDescriptor thread = PERFETTO__THREAD_DESCRIPTOR__INIT;

	thread.has_pid = thread.has_tid = 1;
	thread.pid = encoder->pid;
	thread.tid = tid;
	thread.thread_name = (char *)name;
	track.has_uuid = track.has_parent_uuid = 1;
	track.uuid = number;
	track.parent_uuid = PROCESS_TRACK;
	track.thread = &thread;
	put_track(encoder, &track);
}

void encode_counter_track(
	struct encoder *encoder, uint64_t number, const char *name, const char *unit)
{
	Perfetto__TrackDescriptor track = PERFETTO__TRACK_DESCRIPTOR__INIT;
	Perfetto__CounterDescriptor counter = PERFETTO__COUNTER_DESCRIPTOR__INIT;

	counter.has_unit = 1;
	counter.unit = strcmp(unit, "bytes") == 0 ? UNIT_BYTES : UNIT_COUNT;
	track.has_uuid = track.has_parent_uuid = 1;
	track.uuid = number;
	track.parent_uuid = PROCESS_TRACK;
	track.name = (char *)name;
	track.counter = &counter;
	put_track(encoder, &track);
}

void encode_named_track(struct encoder *encoder, uint64_t number, const char *name)
{
	Perfetto__TrackDescriptor track = PERFETTO__TRACK_DESCRIPTOR__INIT;

	track.has_uuid = track.has_parent_uuid = 1;
	track.uuid = number;
	track.parent_uuid = PROCESS_TRACK;
	track.name = (char *)name;
	put_track(encoder, &track);
}

/* ---- events ---- */

/* "create_files at faults/fd_leak.c:51": the end of a path tells files apart, and fits a line. */
static void print_frame(char text[FRAME_TEXT_BYTES], const struct probe_frame *frame)
{
	const char *file = strrchr(frame->file, '/');

	while (file && file > frame->file && file[-1] != '/')
		file--;
	if (*frame->file)
		snprintf(text, FRAME_TEXT_BYTES, "%s at %s:%d", frame->function,
			file ? file : frame->file, frame->line);
	else
		snprintf(text, FRAME_TEXT_BYTES, "%s", frame->function);
}

struct stack_detail {
	Perfetto__DebugAnnotation annotation;
	Perfetto__DebugAnnotation frames[ENCODER_SLICE_FRAMES_MAX];
	Perfetto__DebugAnnotation *pointers[ENCODER_SLICE_FRAMES_MAX];
	char texts[ENCODER_SLICE_FRAMES_MAX][FRAME_TEXT_BYTES];
};

static void add_frame(struct stack_detail *stack, const struct probe_frame *frame)
{
	size_t i = stack->annotation.n_array_values;

	if (i == ENCODER_SLICE_FRAMES_MAX)
		return;
	print_frame(stack->texts[i], frame);
	perfetto__debug_annotation__init(&stack->frames[i]);
	stack->frames[i].string_value = stack->texts[i];
	stack->pointers[i] = &stack->frames[i];
	stack->annotation.n_array_values++;
}

static void fill_stack(
	struct stack_detail *stack, uint64_t key, const uintptr_t *pcs, size_t pc_count)
{
	perfetto__debug_annotation__init(&stack->annotation);
	stack->annotation.has_name_iid = 1;
	stack->annotation.name_iid = key;
	stack->annotation.array_values = stack->pointers;
	for (size_t i = 0; i < pc_count; i++) {
		const struct probe_symbol *symbol = probe_symbolize(pcs[i]);

		for (size_t j = 0; j < symbol->frame_count; j++)
			add_frame(stack, &symbol->frames[j]);
	}
}

struct details {
	Perfetto__DebugAnnotation annotations[ENCODER_DETAILS_MAX];
	Perfetto__DebugAnnotation *pointers[ENCODER_DETAILS_MAX + 1];
	struct stack_detail stack;
};

static void fill_details(struct encoder *encoder, struct news *news, struct details *details,
	const struct encoder_event *event, Perfetto__TrackEvent *to)
{
	for (size_t i = 0; i < event->detail_count; i++) {
		const struct encoder_detail *from = &event->details[i];
		Perfetto__DebugAnnotation *annotation = &details->annotations[i];

		perfetto__debug_annotation__init(annotation);
		annotation->has_name_iid = 1;
		annotation->name_iid = INTERN(
			news, &encoder->keys, debug_annotation_names, from->key);
		annotation->has_int_value = !from->text;
		annotation->int_value = from->number;
		annotation->string_value = (char *)from->text;
		details->pointers[i] = annotation;
	}
	to->n_debug_annotations = event->detail_count;
	if (event->pc_count > 0) {
		fill_stack(&details->stack,
			INTERN(news, &encoder->keys, debug_annotation_names, "stack"), event->pcs,
			event->pc_count);
		details->pointers[to->n_debug_annotations++] = &details->stack.annotation;
	}
	to->debug_annotations = details->pointers;
}

static int type_of(enum encoder_type type)
{
	static const int types[] = {
		[ENCODER_BEGIN] = PERFETTO__TRACK_EVENT__TYPE__TYPE_SLICE_BEGIN,
		[ENCODER_END] = PERFETTO__TRACK_EVENT__TYPE__TYPE_SLICE_END,
		[ENCODER_INSTANT] = PERFETTO__TRACK_EVENT__TYPE__TYPE_INSTANT,
		[ENCODER_COUNTER] = PERFETTO__TRACK_EVENT__TYPE__TYPE_COUNTER,
	};

	return types[type];
}

void encode_event(struct encoder *encoder, const struct encoder_event *event)
{
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;
	Perfetto__TrackEvent to = PERFETTO__TRACK_EVENT__INIT;
	uint64_t category, flow = event->flow;
	struct details details;
	struct news news;

	encoder_news_init(&news);
	encoder_set_time(encoder, &packet, event->time_ns);
	to.has_type = to.has_track_uuid = 1;
	to.type = type_of(event->type);
	to.track_uuid = event->track;
	if (event->category) {
		category = INTERN(&news, &encoder->categories, event_categories, event->category);
		to.n_category_iids = 1;
		to.category_iids = &category;
	}
	if (event->name) {
		to.has_name_iid = 1;
		to.name_iid = INTERN(&news, &encoder->names, event_names, event->name);
	}
	to.has_counter_value = event->type == ENCODER_COUNTER;
	to.counter_value = event->value;
	fill_details(encoder, &news, &details, event, &to);
	if (flow) {
		to.n_flow_ids = !event->flow_ends;
		to.n_terminating_flow_ids = event->flow_ends;
		to.flow_ids = to.terminating_flow_ids = &flow;
	}
	packet.track_event = &to;
	packet.interned_data = news.string_count > 0 ? &news.data : NULL;
	encoder_put_packet(encoder, &packet);
}
