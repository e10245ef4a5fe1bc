/* What one thread says, and what is kept of it. */
#include "../support/test.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "probe/thread.h"
#include "trace/writer.h"
#include "trace/trace.h"

#define PLENTY_BYTES (1 << 30)
#define COST_BYTES 10

/* ---- what this thread said, as text: "outer{(key=1)inner{}!instant}" ---- */

static struct strbuf said;
static uint64_t first_number; /* of this test: slices of no thread and flows are told from it on */

static unsigned number(uint64_t word)
{
	return (unsigned)(word - first_number);
}

static void add_own(const struct record *record)
{
	const char *text = (const char *)(uintptr_t)record->words[0];
	long long value = (long long)record->words[1];

	if (record->kind == RECORD_BEGIN)
		strbuf_printf(&said, "%s{", text);
	else if (record->kind == RECORD_END)
		strbuf_puts(&said, "}");
	else if (record->kind == RECORD_INSTANT)
		strbuf_printf(&said, "!%s", text);
	else if (record->kind == RECORD_COUNTER)
		strbuf_printf(&said, "[%s=%lld]", text, value);
	else if (record->kind == RECORD_NUMBER)
		strbuf_printf(&said, "(%s=%lld)", text, value);
	else if (record->kind == RECORD_TEXT)
		strbuf_printf(&said, "(%s:%s)", text, (const char *)&record->words[1]);
	else
		fail_msg("a record of kind %d", record->kind);
}

static void add(const struct record *record)
{
	const uint64_t *words = record->words;

	if (record->kind == RECORD_FLOW)
		strbuf_printf(&said, record->flags ? "->%u|" : "->%u", number(words[0]));
	else if (record->kind == RECORD_ASYNC_BEGIN)
		strbuf_printf(&said, "#%u%s{", number(words[1]), (char *)(uintptr_t)words[0]);
	else if (record->kind == RECORD_ASYNC_NUMBER)
		strbuf_printf(&said, "#%u(%s=%" PRId64 ")", number(words[0]),
			(char *)(uintptr_t)words[1], (int64_t)words[2]);
	else if (record->kind == RECORD_ASYNC_END)
		strbuf_printf(&said, "#%u}", number(words[0]));
	else
		add_own(record);
}

static void take_writer(struct writer *writer, void *context)
{
	struct record record;

	while (ring_take(&writer->ring, ring_head(&writer->ring), &record))
		if (writer->tid == *(pid_t *)context)
			add(&record);
}

static const char *take_said(void)
{
	pid_t tid = gettid();

	strbuf_free(&said);
	strbuf_puts(&said, "");
	writers_visit(take_writer, &tid);
	return said.data;
}

#define assert_said(text) assert_string_equal(take_said(), text)

static int begin_with(int64_t credit_bytes)
{
	(void)take_said();
	first_number = trace_emit_flow_number();
	writers_set_cost(COST_BYTES);
	writers_start(credit_bytes);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_with(PLENTY_BYTES);
}

static int end(void **state)
{
	(void)state;
	assert_true(writers_stop());
	strbuf_free(&said);
	return 0;
}

static void assert_counts(uint64_t dropped, uint64_t thinned, uint64_t admitted)
{
	struct writer_counts counts = writer_counts();

	assert_int_equal(counts.dropped, dropped);
	assert_int_equal(counts.thinned, thinned);
	assert_int_equal(counts.admitted, admitted);
}

/* ---- on and off ---- */

static void say_everything(void)
{
	trace_begin("slice");
	trace_number("number", -1);
	trace_text("text", "words");
	trace_flow(1, false);
	trace_end();
	trace_instant("instant");
	trace_counter("counter", 2);
	trace_async_number(1, "number", 3);
	trace_async_end(1);
	assert_int_equal(trace_async_begin("async"), 0);
}

static void test_nothing_is_recorded_while_nobody_listens(void **state)
{
	(void)state;
	say_everything();
	assert_int_equal(trace_flow_number(), 0);
	/* Nor by those who saw it on just before. */
	trace_emit_begin("late");
	trace_emit_instant("late");
	trace_emit_async_end(1);
	assert_int_equal(trace_emit_async_begin("late"), 0);
	assert_said("");
	begin_with(PLENTY_BYTES);
	assert_said("");
	assert_true(writers_stop());
	assert_false(trace_is_on());
	say_everything();
	assert_said("");
}

static void test_functions_nest(void **state)
{
	(void)state;
	{
		TRACE_FUNCTION();
		trace_begin("inner");
		trace_end();
		trace_counter("counter", INT64_MIN);
		trace_instant("instant");
	}
	assert_said("test_functions_nest{inner{}[counter=-9223372036854775808]!instant}");
	assert_counts(0, 0, 1);
}

static void test_an_end_without_a_beginning_is_ignored(void **state)
{
	(void)state;
	trace_end();
	trace_begin("a");
	trace_end();
	trace_end();
	trace_instant("b");
	assert_said("a{}!b");
}

static void test_what_began_before_the_trace_does_not_end_in_it(void **state)
{
	(void)state;
	trace_begin("old outer");
	trace_begin("old inner");
	writers_stop();
	assert_said("old outer{old inner{");
	begin_with(PLENTY_BYTES);
	trace_number("a detail of the old", 1);
	trace_end();
	trace_begin("new");
	trace_end();
	trace_end();
	assert_said("new{}");
	/* What was left out then is not left out now. */
	trace_begin_of("left out", 0);
	writers_stop();
	begin_with(PLENTY_BYTES);
	assert_null(writer_muted());
	trace_instant("new");
	assert_said("!new");
}

/* ---- details ---- */

static void test_details_follow_their_event(void **state)
{
	static char long_text[1000];

	(void)state;
	trace_number("of nothing", 1);
	trace_begin("slice");
	trace_number("a", 1);
	trace_text("b", "two\nlines");
	trace_flow(first_number + 5, false);
	trace_counter("counter", 1);
	trace_number("of a counter", 1);
	trace_instant("instant");
	trace_text("c", "");
	trace_flow(first_number + 6, true);
	trace_end();
	trace_number("of an end", 1);
	assert_said("slice{(a=1)(b:two\nlines)->5[counter=1]!instant(c:)->6|}");
	memset(long_text, 'x', sizeof(long_text) - 1);
	trace_instant("cut");
	trace_text("text", long_text);
	assert_int_equal(strlen(take_said()), strlen("!cut(text:)") + TRACE_TEXT_MAX_BYTES - 1);
	/* Every length, so that it ends anywhere within a word. */
	for (size_t length = 0; length < TRACE_TEXT_MAX_BYTES; length++) {
		long_text[length] = '\0';
		trace_instant("");
		trace_text("", long_text);
		assert_int_equal(strlen(take_said()), strlen("!(:)") + length);
		long_text[length] = 'x';
	}
}

/* ---- slices of no thread ---- */

static void test_slices_of_no_thread_have_numbers(void **state)
{
	uint64_t first, second;

	(void)state;
	first = trace_async_begin("a");
	trace_number("key", 1);
	second = trace_async_begin("b");
	trace_async_number(first, "later", 2);
	trace_number("of none", 1);
	trace_async_end(second);
	trace_async_end(first);
	assert_int_equal(second, first + 1);
	assert_int_equal(trace_flow_number(), second + 1);
	assert_said("#1a{(key=1)#2b{#1(later=2)#2}#1}");
	/* Of what was left out nothing is said. */
	trace_async_number(0, "key", 1);
	trace_async_end(0);
	assert_said("");
}

/* ---- the budget ---- */

static void test_outermost_slices_are_left_out_whole(void **state)
{
	(void)state;
	writers_stop();
	begin_with(3 * COST_BYTES - 1);
	for (int i = 0; i < 5; i++) {
		trace_begin("outer");
		trace_number("key", i);
		trace_begin("inner");
		trace_instant("instant");
		trace_end();
		trace_counter("counter", 1);
		assert_int_equal(trace_async_begin("async") != 0, i < 3);
		assert_int_equal(writer_muted() != NULL, i >= 3);
		trace_end();
		assert_null(writer_muted());
	}
	assert_said("outer{(key=0)inner{!instant}[counter=1]#1async{}"
		    "outer{(key=1)inner{!instant}[counter=1]#2async{}"
		    "outer{(key=2)inner{!instant}[counter=1]#3async{}");
	assert_counts(0, 2, 3);
	/* Outside of slices each thing is counted for itself. */
	trace_instant("instant");
	trace_number("key", 1);
	trace_counter("counter", 1);
	assert_int_equal(trace_async_begin("async"), 0);
	assert_said("");
	assert_counts(0, 5, 3);
	/* No more of it than the limit. */
	writers_add_credit(1000 * COST_BYTES, 2 * COST_BYTES);
	for (int i = 0; i < 3; i++)
		trace_instant("again");
	assert_said("!again!again");
	assert_counts(0, 6, 5);
}

static void test_a_slice_without_end_is_cut_short(void **state)
{
	(void)state;
	writers_stop();
	begin_with(2 * COST_BYTES);
	trace_begin("endless");
	writers_add_credit(-3 * COST_BYTES, 0);
	trace_instant("as much as there was at first");
	writers_add_credit(-1, 0);
	trace_instant("more");
	trace_number("of more", 1);
	trace_begin("more");
	trace_instant("in it");
	trace_end();
	writers_add_credit(1, 0);
	trace_instant("paid");
	writers_add_credit(-1, 0);
	trace_end();
	assert_said("endless{!as much as there was at first!paid}");
	assert_counts(2, 0, 1);
}

static void test_what_belongs_to_a_request_needs_no_credit(void **state)
{
	uint64_t request;

	(void)state;
	request = trace_async_begin("request");
	writers_stop();
	begin_with(0);
	trace_begin_of("turn", request);
	trace_instant("in it");
	trace_begin_of("of another that was left out", 0);
	trace_instant("out");
	trace_begin_of("within", request);
	trace_end();
	trace_end();
	trace_number("of the end", 1);
	trace_end();
	assert_said("turn{!in it}");
	assert_counts(0, 0, 0);
}

/* ---- a ring that is full ---- */

static size_t fill(void)
{
	size_t count = 0;

	while (writer_counts().dropped == 0) {
		trace_instant("i");
		count++;
	}
	return count - 1;
}

static void test_a_slice_without_room_is_left_out_with_all_in_it(void **state)
{
	const char *text, *tail = "}}";
	size_t count;

	(void)state;
	trace_begin("outer");
	trace_begin("inner");
	count = fill();
	trace_begin("too much");
	assert_non_null(writer_muted());
	/* Room for what lies within it must not be taken by halves. */
	(void)take_said();
	trace_instant("in it");
	trace_number("key", 1);
	trace_begin("in it");
	trace_end();
	trace_end();
	trace_instant("after");
	trace_end();
	trace_end();
	assert_said("!after}}");
	assert_true(writer_counts().dropped >= 2);
	/* And again, with nobody who drains meanwhile: the ends have room. */
	writers_stop();
	begin_with(PLENTY_BYTES);
	trace_begin("outer");
	trace_begin("inner");
	assert_in_range(fill(), count - 1, count + 1);
	for (int i = 0; i < 100; i++) {
		trace_begin("too much");
		trace_instant("in it");
		trace_end();
		trace_counter("counter", 1);
		trace_number("key", 1);
	}
	trace_end();
	trace_end();
	text = take_said();
	assert_null(strstr(text, "too much"));
	assert_null(strstr(text, "in it"));
	assert_null(strstr(text, "counter"));
	assert_string_equal(text + strlen(text) - strlen(tail), tail);
	/* The first, the slices and the counters; not what lay within, nor details. */
	assert_counts(1 + 100 + 100, 0, 1);
}

static size_t count_of(const char *text, char letter)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == letter;
	return count;
}

static void test_every_slice_that_began_ends(void **state)
{
	const char *text;

	(void)state;
	for (size_t i = 0; i < RING_WORDS; i++)
		trace_begin("s");
	for (size_t i = 0; i < RING_WORDS; i++)
		trace_end();
	text = take_said();
	/* A beginning has a head and a name, an end a head: five words. */
	assert_int_equal(count_of(text, '{'), RING_WORDS / 5);
	assert_int_equal(count_of(text, '}'), RING_WORDS / 5);
	assert_int_equal(writer_counts().dropped, 1);
}

/* ---- signal handlers ---- */

static struct writer *own_writer;

static void find_own(struct writer *writer, void *context)
{
	(void)context;
	if (writer->tid == gettid())
		own_writer = writer;
}

static int protect_ring(int protection)
{
	return mprotect(own_writer->ring.words, RING_WORDS * sizeof(uint64_t), protection);
}

static void on_fault(int signal)
{
	(void)signal;
	(void)protect_ring(PROT_READ | PROT_WRITE);
	trace_instant("from within");
	trace_begin("from within");
	trace_end();
}

/* A write to its ring faults: the handler runs in the midst of an emitter. */
static void test_a_handler_within_an_emitter_is_dropped(void **state)
{
	struct sigaction action = {.sa_handler = on_fault}, before;

	(void)state;
	trace_begin("slice");
	writers_visit(find_own, NULL);
	assert_non_null(own_writer);
	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	assert_int_equal(protect_ring(PROT_READ), 0);
	trace_instant("interrupted");
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	assert_counts(3, 0, 1);
	trace_number("key", 1);
	trace_end();
	/* Between emitters, handlers are heard. */
	on_fault(SIGSEGV);
	assert_said("slice{!interrupted(key=1)}!from withinfrom within{}");
}

/* ---- observers ---- */

static void *observe(void *arg)
{
	probe_thread_observe();
	say_everything();
	return arg;
}

static void test_observers_say_nothing(void **state)
{
	pthread_t thread;

	(void)state;
	probe_observe_begin();
	say_everything();
	probe_observe_end();
	assert_int_equal(pthread_create(&thread, NULL, observe, NULL), 0);
	pthread_join(thread, NULL);
	assert_said("");
	assert_counts(0, 0, 0);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return writers_init();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_recorded_while_nobody_listens),
		TEST(test_functions_nest),
		TEST(test_an_end_without_a_beginning_is_ignored),
		TEST(test_what_began_before_the_trace_does_not_end_in_it),
		TEST(test_details_follow_their_event),
		TEST(test_slices_of_no_thread_have_numbers),
		TEST(test_outermost_slices_are_left_out_whole),
		TEST(test_a_slice_without_end_is_cut_short),
		TEST(test_what_belongs_to_a_request_needs_no_credit),
		TEST(test_a_slice_without_room_is_left_out_with_all_in_it),
		TEST(test_every_slice_that_began_ends),
		TEST(test_a_handler_within_an_emitter_is_dropped),
		TEST(test_observers_say_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
