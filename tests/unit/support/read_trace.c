#include "read_trace.h"

#include "test.h"

#include <string.h>

#include "common/alloc.h"
#include "proto/perfetto.pb-c.h"

/* What was said once, numbered from 1 on. */
struct texts {
	const Perfetto__InternedString **all;
	size_t count;
};

struct event {
	int64_t time_ns;
	size_t number; /* what was written at one time stays in its order */
	const Perfetto__TrackEvent *said;
};

struct open_slice {
	uint64_t track;
	struct read_slice *innermost;
};

struct read_trace {
	Perfetto__Trace *message;
	const Perfetto__TrackDescriptor **tracks;
	size_t track_count;
	struct texts categories, names, keys, functions, paths;
	const Perfetto__Frame **frames;
	size_t frame_count;
	const Perfetto__Callstack **callstacks;
	size_t callstack_count, mapping_count;
	struct event *events;
	size_t event_count;
	struct read_slice *slices;
	const Perfetto__TrackEvent **said; /* of each slice */
	size_t slice_count;
	struct open_slice *open; /* while the slices are made */
	size_t open_count;
	struct read_sample *samples;
	size_t sample_count;
	char **strings; /* NUL-terminated copies */
	size_t string_count;
};

/* Room for one more: of any of the arrays above. */
#define ADD(array, count) \
	(*((array) = xrealloc((array), (count) + 1, sizeof(*(array))), &(array)[(count)++]))

/* ---- what was said once ---- */

static void learn_texts(struct texts *texts, Perfetto__InternedString *const *said, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ADD(texts->all, texts->count) = said[i];
		assert_int_equal(said[i]->iid, texts->count);
	}
}

static bool is_known(uint64_t iid, size_t count)
{
	return iid >= 1 && iid <= count;
}

static void learn_stacks(struct read_trace *trace, const Perfetto__InternedData *data)
{
	for (size_t i = 0; i < data->n_mappings; i++) {
		assert_int_equal(data->mappings[i]->iid, ++trace->mapping_count);
		assert_int_equal(data->mappings[i]->n_path_string_ids, 1);
		assert_true(is_known(data->mappings[i]->path_string_ids[0], trace->paths.count));
	}
	for (size_t i = 0; i < data->n_frames; i++) {
		const Perfetto__Frame *frame = data->frames[i];

		ADD(trace->frames, trace->frame_count) = frame;
		assert_int_equal(frame->iid, trace->frame_count);
		assert_true(is_known(frame->function_name_id, trace->functions.count));
		assert_true(is_known(frame->mapping_id, trace->mapping_count));
	}
	for (size_t i = 0; i < data->n_callstacks; i++) {
		const Perfetto__Callstack *callstack = data->callstacks[i];

		ADD(trace->callstacks, trace->callstack_count) = callstack;
		assert_int_equal(callstack->iid, trace->callstack_count);
		for (size_t k = 0; k < callstack->n_frame_ids; k++)
			assert_true(is_known(callstack->frame_ids[k], trace->frame_count));
	}
}

static void learn(struct read_trace *trace, const Perfetto__InternedData *data)
{
	learn_texts(&trace->categories, data->event_categories, data->n_event_categories);
	learn_texts(&trace->names, data->event_names, data->n_event_names);
	learn_texts(&trace->keys, data->debug_annotation_names, data->n_debug_annotation_names);
	learn_texts(&trace->functions, data->function_names, data->n_function_names);
	learn_texts(&trace->paths, data->mapping_paths, data->n_mapping_paths);
	learn_stacks(trace, data);
}

static const char *text_of(struct read_trace *trace, const struct texts *texts, uint64_t iid)
{
	const ProtobufCBinaryData *text;

	assert_true(is_known(iid, texts->count));
	text = &texts->all[iid - 1]->str;
	return ADD(trace->strings, trace->string_count) = strndup(
		       (const char *)text->data, text->len);
}

/* ---- packets ---- */

static const Perfetto__TrackDescriptor *track_of(const struct read_trace *trace, uint64_t uuid)
{
	/* The last word counts. */
	for (size_t i = trace->track_count; i-- > 0;)
		if (trace->tracks[i]->uuid == uuid)
			return trace->tracks[i];
	return NULL;
}

static void read_event(struct read_trace *trace, const Perfetto__TracePacket *packet,
	const Perfetto__TrackEvent *said)
{
	assert_true(packet->has_timestamp);
	assert_non_null(track_of(trace, said->track_uuid));
	for (size_t i = 0; i < said->n_debug_annotations; i++)
		assert_true(is_known(said->debug_annotations[i]->name_iid, trace->keys.count));
	ADD(trace->events, trace->event_count) = (struct event){
		(int64_t)packet->timestamp, trace->event_count, said};
}

static void read_sample(struct read_trace *trace, const Perfetto__TracePacket *packet,
	const Perfetto__PerfSample *said)
{
	struct read_sample sample = {
		(int64_t)packet->timestamp, (pid_t)said->pid, (pid_t)said->tid, 0, {0}};
	const Perfetto__Callstack *callstack;

	assert_true(packet->has_timestamp);
	assert_true(is_known(said->callstack_iid, trace->callstack_count));
	callstack = trace->callstacks[said->callstack_iid - 1];
	assert_true(callstack->n_frame_ids <= READ_TRACE_FRAMES_MAX);
	for (size_t i = 0; i < callstack->n_frame_ids; i++)
		sample.frames[sample.frame_count++] = text_of(trace, &trace->functions,
			trace->frames[callstack->frame_ids[i] - 1]->function_name_id);
	ADD(trace->samples, trace->sample_count) = sample;
}

static void read_packet(
	struct read_trace *trace, const Perfetto__TracePacket *packet, bool is_first)
{
	assert_int_equal(packet->sequence_flags, is_first ? 1 : 2);
	/* Recorders count theirs from 1, and files are put together. */
	assert_true(packet->trusted_packet_sequence_id > UINT16_MAX);
	assert_int_equal(packet->trusted_packet_sequence_id,
		trace->message->packet[0]->trusted_packet_sequence_id);
	if (packet->interned_data)
		learn(trace, packet->interned_data);
	if (packet->track_descriptor) {
		const Perfetto__TrackDescriptor *track = packet->track_descriptor;

		assert_true(!track->has_parent_uuid || track_of(trace, track->parent_uuid));
		ADD(trace->tracks, trace->track_count) = track;
	}
	if (packet->track_event)
		read_event(trace, packet, packet->track_event);
	if (packet->perf_sample)
		read_sample(trace, packet, packet->perf_sample);
}

/* ---- slices ---- */

static int by_time(const void *left, const void *right)
{
	const struct event *a = left, *b = right;

	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? 1 : -1;
	return (a->number > b->number) - (a->number < b->number);
}

/* Where TRACK's innermost slice is kept that has not ended. */
static struct read_slice **innermost(struct read_trace *trace, uint64_t track)
{
	for (size_t i = 0; i < trace->open_count; i++)
		if (trace->open[i].track == track)
			return &trace->open[i].innermost;
	ADD(trace->open, trace->open_count) = (struct open_slice){track, NULL};
	return &trace->open[trace->open_count - 1].innermost;
}

static void begin_slice(struct read_trace *trace, const struct event *event)
{
	const Perfetto__TrackEvent *said = event->said;
	const Perfetto__TrackDescriptor *track = track_of(trace, said->track_uuid);
	const Perfetto__ThreadDescriptor *thread = track->thread;
	const char *track_name = thread ? thread->thread_name : track->name;
	struct read_slice slice = {
		.name = text_of(trace, &trace->names, said->name_iid),
		.is_instant = said->type == PERFETTO__TRACK_EVENT__TYPE__TYPE_INSTANT,
		.begin_ns = event->time_ns,
		.track = said->track_uuid,
		.track_name = track_name ? track_name : "",
		.tid = thread ? thread->tid : 0,
		.parent = *innermost(trace, said->track_uuid),
		.flow = said->n_flow_ids ? said->flow_ids[0] : 0,
		.ending_flow = said->n_terminating_flow_ids ? said->terminating_flow_ids[0] : 0,
	};

	assert_int_equal(said->n_category_iids, 1);
	slice.category = text_of(trace, &trace->categories, said->category_iids[0]);
	trace->said[trace->slice_count] = said;
	trace->slices[trace->slice_count] = slice;
	if (!slice.is_instant)
		*innermost(trace, slice.track) = &trace->slices[trace->slice_count];
	trace->slice_count++;
}

static void end_slice(struct read_trace *trace, const struct event *event)
{
	struct read_slice **slice = innermost(trace, event->said->track_uuid);

	assert_non_null(*slice);
	(*slice)->end_ns = event->time_ns;
	*slice = (struct read_slice *)(*slice)->parent;
}

static void make_slices(struct read_trace *trace)
{
	if (trace->event_count == 0)
		return;
	qsort(trace->events, trace->event_count, sizeof(*trace->events), by_time);
	trace->slices = xcalloc(trace->event_count, sizeof(*trace->slices));
	trace->said = xcalloc(trace->event_count, sizeof(*trace->said));
	for (size_t i = 0; i < trace->event_count; i++) {
		const struct event *event = &trace->events[i];

		if (event->said->type == PERFETTO__TRACK_EVENT__TYPE__TYPE_SLICE_END)
			end_slice(trace, event);
		else if (event->said->type != PERFETTO__TRACK_EVENT__TYPE__TYPE_COUNTER)
			begin_slice(trace, event);
	}
}

struct read_trace *read_trace_open(const struct strbuf *bytes)
{
	struct read_trace *trace = xcalloc(1, sizeof(*trace));

	trace->message = perfetto__trace__unpack(
		NULL, bytes->len_bytes, (const uint8_t *)bytes->data);
	assert_non_null(trace->message);
	assert_true(trace->message->n_packet > 0);
	for (size_t i = 0; i < trace->message->n_packet; i++)
		read_packet(trace, trace->message->packet[i], i == 0);
	make_slices(trace);
	return trace;
}

void read_trace_close(struct read_trace *trace)
{
	void *const arrays[] = {trace->tracks, trace->categories.all, trace->names.all,
		trace->keys.all, trace->functions.all, trace->paths.all, trace->frames,
		trace->callstacks, trace->events, trace->slices, trace->said, trace->open,
		trace->samples, trace->strings};

	for (size_t i = 0; i < trace->string_count; i++)
		free(trace->strings[i]);
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		free(arrays[i]);
	perfetto__trace__free_unpacked(trace->message, NULL);
	free(trace);
}

/* ---- questions ---- */

static bool has_name(const struct read_slice *slice, const char *name)
{
	return !name || strcmp(slice->name, name) == 0;
}

const struct read_slice *read_trace_slice(
	const struct read_trace *trace, const char *name, size_t index)
{
	/* All of them, one after the other: a trace under load has a hundred thousand. */
	if (!name)
		return index < trace->slice_count ? &trace->slices[index] : NULL;
	for (size_t i = 0; i < trace->slice_count; i++)
		if (has_name(&trace->slices[i], name) && index-- == 0)
			return &trace->slices[i];
	return NULL;
}

size_t read_trace_count(const struct read_trace *trace, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < trace->slice_count; i++)
		count += has_name(&trace->slices[i], name);
	return count;
}

size_t read_trace_count_in(
	const struct read_trace *trace, const struct read_slice *parent, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < trace->slice_count; i++)
		count += trace->slices[i].parent == parent && has_name(&trace->slices[i], name);
	return count;
}

static const Perfetto__DebugAnnotation *detail_of(
	const struct read_trace *trace, const struct read_slice *slice, const char *key)
{
	const Perfetto__TrackEvent *said = trace->said[slice - trace->slices];

	for (size_t i = 0; i < said->n_debug_annotations; i++) {
		const Perfetto__DebugAnnotation *detail = said->debug_annotations[i];
		const ProtobufCBinaryData *text = &trace->keys.all[detail->name_iid - 1]->str;

		if (text->len == strlen(key) && memcmp(text->data, key, text->len) == 0)
			return detail;
	}
	return NULL;
}

const char *read_trace_text(
	const struct read_trace *trace, const struct read_slice *slice, const char *key)
{
	const Perfetto__DebugAnnotation *detail = detail_of(trace, slice, key);

	return detail ? detail->string_value : NULL;
}

int64_t read_trace_number(
	const struct read_trace *trace, const struct read_slice *slice, const char *key)
{
	const Perfetto__DebugAnnotation *detail = detail_of(trace, slice, key);

	return detail && detail->has_int_value ? detail->int_value : -1;
}

size_t read_trace_detail_count(const struct read_trace *trace, const struct read_slice *slice)
{
	return trace->said[slice - trace->slices]->n_debug_annotations;
}

const char *read_trace_frame(
	const struct read_trace *trace, const struct read_slice *slice, size_t index)
{
	const Perfetto__DebugAnnotation *stack = detail_of(trace, slice, "stack");

	return stack && index < stack->n_array_values ? stack->array_values[index]->string_value
						      : NULL;
}

/* ---- counters, tracks, samples ---- */

static const Perfetto__TrackDescriptor *counter_track(
	const struct read_trace *trace, const char *name)
{
	for (size_t i = 0; i < trace->track_count; i++)
		if (trace->tracks[i]->counter && strcmp(trace->tracks[i]->name, name) == 0)
			return trace->tracks[i];
	return NULL;
}

bool read_trace_counter(
	const struct read_trace *trace, const char *name, size_t index, int64_t *value)
{
	const Perfetto__TrackDescriptor *track = counter_track(trace, name);

	for (size_t i = 0; track && i < trace->event_count; i++) {
		const Perfetto__TrackEvent *said = trace->events[i].said;

		if (said->track_uuid == track->uuid && index-- == 0) {
			assert_int_equal(said->type, PERFETTO__TRACK_EVENT__TYPE__TYPE_COUNTER);
			*value = said->counter_value;
			return true;
		}
	}
	return false;
}

int read_trace_counter_unit(const struct read_trace *trace, const char *name)
{
	const Perfetto__TrackDescriptor *track = counter_track(trace, name);

	return track ? track->counter->unit : 0;
}

size_t read_trace_sample_count(const struct read_trace *trace)
{
	return trace->sample_count;
}

const struct read_sample *read_trace_sample(const struct read_trace *trace, size_t index)
{
	return index < trace->sample_count ? &trace->samples[index] : NULL;
}

size_t read_trace_samples_in(const struct read_trace *trace, const char *function)
{
	size_t count = 0;

	for (size_t i = 0; i < trace->sample_count; i++)
		for (size_t k = 0; k < trace->samples[i].frame_count; k++)
			if (strcmp(trace->samples[i].frames[k], function) == 0) {
				count++;
				break;
			}
	return count;
}

const char *read_trace_thread_name(const struct read_trace *trace, pid_t tid)
{
	for (size_t i = trace->track_count; i-- > 0;)
		if (trace->tracks[i]->thread && trace->tracks[i]->thread->tid == tid)
			return trace->tracks[i]->thread->thread_name;
	return NULL;
}

const char *read_trace_process_name(const struct read_trace *trace)
{
	for (size_t i = 0; i < trace->track_count; i++)
		if (trace->tracks[i]->process)
			return trace->tracks[i]->process->process_name;
	return NULL;
}
