#include "../support/read_trace.h"
#include "../support/test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/capture.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "trace/encode.h"

#define TRACK 7
#define TID 77

static struct strbuf out;
static struct encoder *encoder;
static int64_t now_ns;

static int begin(void **state)
{
	(void)state;
	out = (struct strbuf)STRBUF_INIT;
	encoder = encoder_create(getpid(), "patient", &out);
	encode_thread_track(encoder, TRACK, TID, "worker");
	now_ns = clock_monotonic_ns();
	return 0;
}

static int end(void **state)
{
	(void)state;
	encoder_free(encoder);
	strbuf_free(&out);
	return 0;
}

/* AFTER_NS: since the test began. */
static struct encoder_event event_of(enum encoder_type type, const char *name, int64_t after_ns)
{
	return (struct encoder_event){
		.type = type,
		.time_ns = now_ns + after_ns,
		.track = TRACK,
		.name = name,
		.category = name ? "test" : NULL,
	};
}

static void put(enum encoder_type type, const char *name, int64_t after_ns)
{
	struct encoder_event event = event_of(type, name, after_ns);

	encode_event(encoder, &event);
}

static void test_slices_nest_in_whatever_order_they_come(void **state)
{
	const struct read_slice *outer, *inner;
	struct read_trace *trace;

	(void)state;
	put(ENCODER_BEGIN, "inner", 20);
	put(ENCODER_END, NULL, 30);
	put(ENCODER_BEGIN, "outer", 10);
	put(ENCODER_INSTANT, "instant", 25);
	put(ENCODER_END, NULL, 40);
	put(ENCODER_BEGIN, "open", 50);
	trace = read_trace_open(&out);
	outer = read_trace_slice(trace, "outer", 0);
	inner = read_trace_slice(trace, "inner", 0);
	assert_ptr_equal(inner->parent, outer);
	assert_null(outer->parent);
	assert_int_equal(outer->end_ns - outer->begin_ns, 30);
	assert_int_equal(inner->end_ns - inner->begin_ns, 10);
	assert_string_equal(outer->category, "test");
	assert_string_equal(outer->track_name, "worker");
	assert_int_equal(outer->tid, TID);
	assert_ptr_equal(read_trace_slice(trace, "instant", 0)->parent, inner);
	assert_true(read_trace_slice(trace, "instant", 0)->is_instant);
	assert_int_equal(read_trace_slice(trace, "open", 0)->end_ns, 0);
	assert_int_equal(read_trace_count(trace, NULL), 4);
	assert_string_equal(read_trace_process_name(trace), "patient");
	read_trace_close(trace);
}

static void test_what_was_said_is_not_said_again(void **state)
{
	size_t first_bytes, second_bytes, before_bytes = out.len_bytes;
	struct encoder_event event = event_of(ENCODER_INSTANT, "a name of many letters", 0);
	struct read_trace *trace;

	(void)state;
	event.details[0] = (struct encoder_detail){"a key of many letters", NULL, 1};
	event.detail_count = 1;
	encode_event(encoder, &event);
	first_bytes = out.len_bytes - before_bytes;
	encode_event(encoder, &event);
	second_bytes = out.len_bytes - before_bytes - first_bytes;
	assert_true(second_bytes + strlen(event.name) + strlen(event.details[0].key) < first_bytes);
	/* A name, a category and a key may be the same text: they are numbered apart. */
	event.name = event.category = event.details[0].key = "test";
	encode_event(encoder, &event);
	event.name = "another";
	encode_event(encoder, &event);
	trace = read_trace_open(&out);
	assert_int_equal(read_trace_count(trace, "a name of many letters"), 2);
	assert_int_equal(
		read_trace_number(trace, read_trace_slice(trace, NULL, 1), "a key of many letters"),
		1);
	assert_string_equal(read_trace_slice(trace, "test", 0)->category, "test");
	assert_int_equal(
		read_trace_number(trace, read_trace_slice(trace, "another", 0), "test"), 1);
	read_trace_close(trace);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * CLOCK_NS_PER_SEC + now.tv_nsec;
}

static void test_times_are_those_since_boot(void **state)
{
	int64_t offset_ns = clock_ns(CLOCK_BOOTTIME) - clock_monotonic_ns(), off_ns;
	struct read_trace *trace;

	(void)state;
	put(ENCODER_INSTANT, "now", 0);
	encode_sample(encoder, now_ns, TID, (uintptr_t[]){(uintptr_t)clock_ns}, 1);
	trace = read_trace_open(&out);
	off_ns = read_trace_slice(trace, "now", 0)->begin_ns - now_ns - offset_ns;
	assert_in_range(off_ns + CLOCK_NS_PER_MS * 50, 0, CLOCK_NS_PER_MS * 100);
	assert_int_equal(
		read_trace_sample(trace, 0)->time_ns, read_trace_slice(trace, "now", 0)->begin_ns);
	read_trace_close(trace);
}

static void test_flows_go_on_and_end(void **state)
{
	struct encoder_event event = event_of(ENCODER_INSTANT, "on", 0);
	struct read_trace *trace;

	(void)state;
	event.flow = 1ull << 40;
	encode_event(encoder, &event);
	event.name = "over";
	event.flow_ends = true;
	encode_event(encoder, &event);
	event.name = "none";
	event.flow = 0;
	encode_event(encoder, &event);
	trace = read_trace_open(&out);
	assert_int_equal(read_trace_slice(trace, "on", 0)->flow, 1ull << 40);
	assert_int_equal(read_trace_slice(trace, "on", 0)->ending_flow, 0);
	assert_int_equal(read_trace_slice(trace, "over", 0)->flow, 0);
	assert_int_equal(read_trace_slice(trace, "over", 0)->ending_flow, 1ull << 40);
	assert_int_equal(read_trace_slice(trace, "none", 0)->flow, 0);
	assert_int_equal(read_trace_slice(trace, "none", 0)->ending_flow, 0);
	read_trace_close(trace);
}

static void test_details_are_kept_as_they_are(void **state)
{
	static char long_text[100000];
	static const char *const texts[] = {"", "two\nlines\t\x01", "cut in a letter: \xc3",
		"\xff\xfe", "\"quoted\\\"", long_text};
	struct encoder_event event = event_of(ENCODER_BEGIN, "slice", 0);
	const struct read_slice *slice;
	struct read_trace *trace;
	char keys[ENCODER_DETAILS_MAX][8];

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	for (size_t i = 0; i < ENCODER_DETAILS_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%zu", i);
		event.details[i] = (struct encoder_detail){
			keys[i], i < 6 ? texts[i] : NULL, i % 2 ? INT64_MAX : INT64_MIN};
	}
	event.detail_count = ENCODER_DETAILS_MAX;
	event.pcs = (uintptr_t[]){(uintptr_t)test_details_are_kept_as_they_are};
	event.pc_count = 1;
	encode_event(encoder, &event);
	trace = read_trace_open(&out);
	slice = read_trace_slice(trace, "slice", 0);
	assert_int_equal(read_trace_detail_count(trace, slice), ENCODER_DETAILS_MAX + 1);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(read_trace_text(trace, slice, keys[i]), texts[i]);
	for (size_t i = 6; i < ENCODER_DETAILS_MAX; i++)
		assert_int_equal(
			read_trace_number(trace, slice, keys[i]), i % 2 ? INT64_MAX : INT64_MIN);
	read_trace_close(trace);
}

static void test_tracks_have_names(void **state)
{
	struct read_trace *trace;
	struct encoder_event event = event_of(ENCODER_COUNTER, NULL, 0);
	int64_t value;

	(void)state;
	encode_thread_track(encoder, 8, 88, NULL);
	assert_int_equal(read_trace_thread_name((trace = read_trace_open(&out)), 88) == NULL, true);
	read_trace_close(trace);
	encode_thread_track(encoder, 8, 88, "late name");
	encode_named_track(encoder, 9, "requests");
	encode_counter_track(encoder, 10, "heap", "bytes");
	encode_counter_track(encoder, 11, "threads", "count");
	event.track = 10;
	event.value = -5;
	encode_event(encoder, &event);
	event.time_ns++;
	event.value = 1ll << 40;
	encode_event(encoder, &event);
	event = event_of(ENCODER_BEGIN, "GET /", 0);
	event.track = 9;
	encode_event(encoder, &event);
	trace = read_trace_open(&out);
	assert_string_equal(read_trace_thread_name(trace, 88), "late name");
	assert_string_equal(read_trace_slice(trace, "GET /", 0)->track_name, "requests");
	assert_int_equal(read_trace_slice(trace, "GET /", 0)->tid, 0);
	assert_int_equal(read_trace_counter_unit(trace, "heap"), 3);
	assert_int_equal(read_trace_counter_unit(trace, "threads"), 2);
	assert_true(read_trace_counter(trace, "heap", 0, &value) && value == -5);
	assert_true(read_trace_counter(trace, "heap", 1, &value) && value == 1ll << 40);
	assert_false(read_trace_counter(trace, "heap", 2, &value));
	assert_false(read_trace_counter(trace, "threads", 0, &value));
	read_trace_close(trace);
}

/* ---- stacks ---- */

struct stack {
	uintptr_t pcs[PROBE_STACK_MAX];
	size_t count;
};

static inline __attribute__((always_inline)) void inlined_step(struct stack *stack)
{
	stack->count = probe_stack_here(stack->pcs, PROBE_STACK_MAX);
}

static TEST_FRAME void inner_step(struct stack *stack)
{
	inlined_step(stack);
}

static TEST_FRAME void outer_step(struct stack *stack)
{
	inner_step(stack);
}

static void assert_begins(const char *text, const char *part)
{
	if (!text || strncmp(text, part, strlen(part)) != 0)
		fail_msg("\"%s\", not \"%s...\"", text ? text : "nothing", part);
}

static void test_a_slices_stack_has_functions_and_lines(void **state)
{
	struct encoder_event event = event_of(ENCODER_BEGIN, "slice", 0);
	const struct read_slice *slice;
	struct read_trace *trace;
	struct stack stack;
	size_t i = 0;

	(void)state;
	outer_step(&stack);
	event.pcs = stack.pcs;
	event.pc_count = stack.count;
	encode_event(encoder, &event);
	trace = read_trace_open(&out);
	slice = read_trace_slice(trace, "slice", 0);
	/* Below is what copied it. */
	while (strncmp(read_trace_frame(trace, slice, i), "inlined_step", 12) != 0)
		i++;
	assert_begins(read_trace_frame(trace, slice, i), "inlined_step at trace/test_encode.c:");
	assert_begins(read_trace_frame(trace, slice, i + 1), "inner_step at trace/test_encode.c:");
	assert_begins(read_trace_frame(trace, slice, i + 2), "outer_step at trace/test_encode.c:");
	assert_begins(read_trace_frame(trace, slice, i + 3),
		"test_a_slices_stack_has_functions_and_lines at trace/test_encode.c:");
	read_trace_close(trace);
}

static void test_a_slices_stack_is_cut_at_its_outer_end(void **state)
{
	struct encoder_event event = event_of(ENCODER_BEGIN, "slice", 0);
	uintptr_t pcs[ENCODER_SLICE_FRAMES_MAX + 10];
	struct read_trace *trace;

	(void)state;
	for (size_t i = 0; i < sizeof(pcs) / sizeof(pcs[0]); i++)
		pcs[i] = (uintptr_t)(i ? outer_step : inner_step);
	event.pcs = pcs;
	event.pc_count = sizeof(pcs) / sizeof(pcs[0]);
	encode_event(encoder, &event);
	/* Of what lies nowhere, only where. */
	event = event_of(ENCODER_BEGIN, "nowhere", 1);
	event.pcs = (uintptr_t[]){0x10};
	event.pc_count = 1;
	encode_event(encoder, &event);
	trace = read_trace_open(&out);
	assert_begins(
		read_trace_frame(trace, read_trace_slice(trace, "slice", 0), 0), "inner_step");
	assert_begins(read_trace_frame(trace, read_trace_slice(trace, "slice", 0),
			      ENCODER_SLICE_FRAMES_MAX - 1),
		"outer_step");
	assert_null(read_trace_frame(
		trace, read_trace_slice(trace, "slice", 0), ENCODER_SLICE_FRAMES_MAX));
	assert_string_equal(
		read_trace_frame(trace, read_trace_slice(trace, "nowhere", 0), 0), "0x10");
	read_trace_close(trace);
}

static void test_a_sample_begins_at_its_outermost_frame(void **state)
{
	const struct read_sample *sample;
	size_t before_bytes, sample_bytes, i;
	struct read_trace *trace;
	struct stack stack;

	(void)state;
	outer_step(&stack);
	encode_sample(encoder, now_ns, TID, stack.pcs, stack.count);
	before_bytes = out.len_bytes;
	encode_sample(encoder, now_ns + 1, TID + 1, stack.pcs, stack.count);
	/* The same stack is said once. */
	sample_bytes = out.len_bytes - before_bytes;
	assert_true(sample_bytes < 50);
	encode_sample(encoder, now_ns + 2, TID, stack.pcs, stack.count - 1);
	encode_sample(encoder, now_ns + 3, TID, (uintptr_t[]){0x10}, 1);
	trace = read_trace_open(&out);
	assert_int_equal(read_trace_sample_count(trace), 4);
	assert_int_equal(read_trace_samples_in(trace, "outer_step"), 3);
	sample = read_trace_sample(trace, 0);
	for (i = 0; strcmp(sample->frames[i], "outer_step") != 0; i++)
		;
	assert_string_equal(sample->frames[i - 1], "test_a_sample_begins_at_its_outermost_frame");
	assert_string_equal(sample->frames[i + 1], "inner_step");
	assert_string_equal(sample->frames[i + 2], "inlined_step");
	assert_int_equal(sample->pid, getpid());
	assert_int_equal(sample->tid, TID);
	sample = read_trace_sample(trace, 1);
	assert_int_equal(sample->tid, TID + 1);
	assert_int_equal(sample->frame_count, read_trace_sample(trace, 0)->frame_count);
	assert_int_equal(read_trace_sample(trace, 3)->frame_count, 1);
	assert_string_equal(read_trace_sample(trace, 3)->frames[0], "0x10");
	read_trace_close(trace);
}

/* Of any length: their own is written with seven bits a byte. */
static void test_a_trace_is_whole_after_each_packet(void **state)
{
	static char text[20000];
	struct encoder_event event = event_of(ENCODER_INSTANT, "instant", 0);

	(void)state;
	event.details[0] = (struct encoder_detail){"text", text, 0};
	event.detail_count = 1;
	for (size_t length = 0, count = 0; length < sizeof(text); length += 1 + length / 30) {
		struct read_trace *trace = read_trace_open(&out);

		assert_int_equal(read_trace_count(trace, NULL), count++);
		read_trace_close(trace);
		memset(text, 'x', length);
		encode_event(encoder, &event);
	}
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return modules_init();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slices_nest_in_whatever_order_they_come),
		TEST(test_what_was_said_is_not_said_again),
		TEST(test_times_are_those_since_boot),
		TEST(test_flows_go_on_and_end),
		TEST(test_details_are_kept_as_they_are),
		TEST(test_tracks_have_names),
		TEST(test_a_slices_stack_has_functions_and_lines),
		TEST(test_a_slices_stack_is_cut_at_its_outer_end),
		TEST(test_a_sample_begins_at_its_outermost_frame),
		TEST(test_a_trace_is_whole_after_each_packet),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
