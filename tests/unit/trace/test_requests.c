/* What several threads say of one request, in whatever order it is read. */
#include "../support/read_trace.h"
#include "../support/test.h"

#include <unistd.h>

#include "common/clock.h"
#include "trace/requests.h"

static struct strbuf out;
static struct encoder *encoder;
static struct requests *requests;
static int64_t now_ns;

static int begin(void **state)
{
	(void)state;
	out = (struct strbuf)STRBUF_INIT;
	encoder = encoder_create(getpid(), "test", &out);
	requests = requests_create(encoder);
	now_ns = clock_monotonic_ns();
	return 0;
}

static int end(void **state)
{
	(void)state;
	requests_free(requests);
	encoder_free(encoder);
	strbuf_free(&out);
	return 0;
}

static size_t written_count(void)
{
	struct read_trace *trace = read_trace_open(&out);
	size_t count = read_trace_count(trace, NULL);

	read_trace_close(trace);
	return count;
}

static void test_words_come_before_the_beginning(void **state)
{
	const struct read_slice *request;
	struct read_trace *trace;

	(void)state;
	requests_add_number(requests, 1, "step", 6);
	requests_turn(requests, false);
	requests_begin(requests, 1, "/", now_ns);
	held_event_add_text(requests_held(requests, 1), "path", "/hello");
	requests_turn(requests, false);
	requests_end(requests, 1, now_ns + 10);
	requests_turn(requests, false);
	/* Until the next turn something may be said of it. */
	assert_int_equal(written_count(), 0);
	requests_add_number(requests, 1, "status", 200);
	requests_turn(requests, false);
	trace = read_trace_open(&out);
	request = read_trace_slice(trace, "/", 0);
	assert_string_equal(request->category, "request");
	assert_string_equal(request->track_name, "requests");
	assert_int_equal(request->tid, 0);
	assert_int_equal(request->end_ns - request->begin_ns, 10);
	assert_int_equal(read_trace_number(trace, request, "step"), 6);
	assert_int_equal(read_trace_number(trace, request, "status"), 200);
	assert_string_equal(read_trace_text(trace, request, "path"), "/hello");
	read_trace_close(trace);
}

static void test_the_end_comes_before_the_beginning(void **state)
{
	struct read_trace *trace;

	(void)state;
	/* In one turn, and in two. */
	requests_end(requests, 1, now_ns + 10);
	requests_begin(requests, 1, "a", now_ns);
	requests_end(requests, 2, now_ns + 20);
	requests_turn(requests, false);
	requests_begin(requests, 2, "b", now_ns);
	requests_turn(requests, false);
	trace = read_trace_open(&out);
	assert_int_equal(
		read_trace_slice(trace, "a", 0)->end_ns - read_trace_slice(trace, "a", 0)->begin_ns,
		10);
	assert_int_equal(
		read_trace_slice(trace, "b", 0)->end_ns - read_trace_slice(trace, "b", 0)->begin_ns,
		20);
	read_trace_close(trace);
}

static void test_what_never_began_is_thrown_away(void **state)
{
	struct read_trace *trace;

	(void)state;
	requests_end(requests, 1, now_ns);
	requests_add_number(requests, 2, "key", 1);
	for (int i = 0; i < 3; i++)
		requests_turn(requests, false);
	/* A number that comes again is another's. */
	requests_begin(requests, 2, "new", now_ns);
	requests_turn(requests, true);
	trace = read_trace_open(&out);
	assert_int_equal(read_trace_count(trace, NULL), 1);
	assert_int_equal(read_trace_detail_count(trace, read_trace_slice(trace, "new", 0)), 0);
	read_trace_close(trace);
}

static void test_what_never_ends_stays_open(void **state)
{
	struct read_trace *trace;

	(void)state;
	requests_begin(requests, 1, "open", now_ns);
	for (int i = 0; i < 5; i++)
		requests_turn(requests, false);
	assert_int_equal(written_count(), 0);
	requests_begin(requests, 2, "ended just now", now_ns + 1);
	requests_end(requests, 2, now_ns + 2);
	requests_add_number(requests, 3, "never began", 1);
	requests_turn(requests, true);
	trace = read_trace_open(&out);
	assert_int_equal(read_trace_count(trace, NULL), 2);
	assert_int_equal(read_trace_slice(trace, "open", 0)->end_ns, 0);
	assert_true(read_trace_slice(trace, "ended just now", 0)->end_ns > 0);
	assert_null(read_trace_slice(trace, "ended just now", 0)->parent);
	read_trace_close(trace);
}

static void add(uint64_t number, const char *name, int64_t begin_ns, int64_t end_ns)
{
	requests_begin(requests, number, name, now_ns + begin_ns);
	requests_end(requests, number, now_ns + end_ns);
}

static uint64_t track_of(const struct read_trace *trace, const char *name)
{
	return read_trace_slice(trace, name, 0)->track;
}

static void test_each_has_the_first_track_that_is_free(void **state)
{
	struct read_trace *trace;
	const struct read_slice *slice;

	(void)state;
	add(1, "c", 20, 40);
	add(2, "a", 0, 20);
	add(3, "b", 10, 30);
	requests_turn(requests, false);
	add(4, "d", 30, 50);
	/* Long, and so written after those that began later. */
	add(5, "long", 5, 60);
	requests_turn(requests, false);
	requests_turn(requests, false);
	trace = read_trace_open(&out);
	assert_int_equal(track_of(trace, "c"), track_of(trace, "a"));
	assert_int_equal(track_of(trace, "d"), track_of(trace, "b"));
	assert_int_not_equal(track_of(trace, "a"), track_of(trace, "b"));
	assert_int_not_equal(track_of(trace, "long"), track_of(trace, "a"));
	assert_int_not_equal(track_of(trace, "long"), track_of(trace, "b"));
	for (size_t i = 0; (slice = read_trace_slice(trace, NULL, i)); i++)
		assert_null(slice->parent);
	read_trace_close(trace);
}

static void test_details_beyond_the_room_are_left_out(void **state)
{
	struct read_trace *trace;

	(void)state;
	requests_begin(requests, 1, "a", now_ns);
	for (int i = 0; i < ENCODER_DETAILS_MAX; i++)
		held_event_add_text(requests_held(requests, 1), i ? "more" : "first", "text");
	requests_add_number(requests, 1, "too many", 1);
	requests_turn(requests, true);
	trace = read_trace_open(&out);
	assert_string_equal(
		read_trace_text(trace, read_trace_slice(trace, "a", 0), "first"), "text");
	assert_int_equal(read_trace_detail_count(trace, read_trace_slice(trace, "a", 0)),
		ENCODER_DETAILS_MAX);
	read_trace_close(trace);
}

/* More than are made room for at first; each is thrown away or written once. */
static void test_many_at_once(void **state)
{
	enum { COUNT = 500 };

	(void)state;
	for (uint64_t i = 1; i <= COUNT; i++)
		requests_begin(requests, i, "many", now_ns + (int64_t)i);
	for (uint64_t i = 1; i <= COUNT; i += 2)
		requests_end(requests, i, now_ns + COUNT + (int64_t)i);
	requests_turn(requests, false);
	requests_turn(requests, false);
	assert_int_equal(written_count(), COUNT / 2);
	requests_turn(requests, true);
	assert_int_equal(written_count(), COUNT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_words_come_before_the_beginning),
		TEST(test_the_end_comes_before_the_beginning),
		TEST(test_what_never_began_is_thrown_away),
		TEST(test_what_never_ends_stays_open),
		TEST(test_each_has_the_first_track_that_is_free),
		TEST(test_details_beyond_the_room_are_left_out),
		TEST(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
