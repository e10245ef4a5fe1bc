/* Whole traces of this program, read back. */
#include "../support/read_dump.h"
#include "../support/read_trace.h"
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "trace/session.h"
#include "trace/trace.h"

static int64_t counted = 5;

static int64_t read_counted(void)
{
	return counted;
}

static int64_t read_unknown(void)
{
	return -1;
}

static int start_for(int64_t seconds)
{
	static const struct trace_counter counters[] = {
		{"things", "count", read_counted}, {"unknown", "bytes", read_unknown}};

	return trace_start(&(struct trace_config){.process_name = "test",
		.seconds = seconds,
		.counters = counters,
		.counter_count = 2});
}

static int begin(void **state)
{
	(void)state;
	return start_for(1);
}

static struct read_trace *stop_and_read(void)
{
	struct strbuf out = STRBUF_INIT;
	struct read_trace *trace;

	assert_int_equal(trace_stop(&out), 0);
	trace = read_trace_open(&out);
	strbuf_free(&out);
	return trace;
}

static void assert_begins(const char *text, const char *part)
{
	if (!text || strncmp(text, part, strlen(part)) != 0)
		fail_msg("\"%s\", not \"%s...\"", text ? text : "nothing", part);
}

/* ---- functions, system calls, waits ---- */

static TEST_FRAME void open_a_file(void)
{
	int fd;

	TRACE_FUNCTION();
	trace_number("step", 6);
	fd = open("/dev/null", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(open("/nowhere/at all", O_RDONLY), -1);
}

static TEST_FRAME void make_temporary_file(void)
{
	char path[] = "/tmp/test-trace-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	close(fd);
}

static void test_system_calls_lie_in_their_function(void **state)
{
	const struct read_slice *function, *call;
	struct read_trace *trace;

	(void)state;
	open_a_file();
	make_temporary_file();
	trace = stop_and_read();
	function = read_trace_slice(trace, "open_a_file", 0);
	assert_string_equal(function->category, "function");
	assert_int_equal(function->tid, getpid());
	assert_int_equal(read_trace_number(trace, function, "step"), 6);
	assert_int_equal(read_trace_count_in(trace, function, NULL), 3);
	call = read_trace_slice(trace, "openat", 0);
	assert_ptr_equal(call->parent, function);
	assert_string_equal(call->category, "syscall");
	assert_string_equal(read_trace_text(trace, call, "function"), "open");
	assert_string_equal(read_trace_text(trace, call, "path"), "/dev/null");
	assert_true(read_trace_number(trace, call, "result") > 2);
	/* Not in probe. */
	assert_begins(read_trace_frame(trace, call, 0), "open_a_file at trace/test_session.c:");
	assert_begins(read_trace_frame(trace, call, 1),
		"test_system_calls_lie_in_their_function at trace/test_session.c:");
	call = read_trace_slice(trace, "openat", 1);
	assert_string_equal(read_trace_text(trace, call, "error"), "ENOENT");
	assert_string_equal(read_trace_text(trace, call, "path"), "/nowhere/at all");
	assert_int_equal(read_trace_number(trace, call, "result"), -1);
	call = read_trace_slice(trace, "close", 0);
	assert_int_equal(read_trace_number(trace, call, "result"), 0);
	assert_null(read_trace_text(trace, call, "function"));
	call = read_trace_slice(trace, "openat", 2);
	assert_null(call->parent);
	assert_string_equal(read_trace_text(trace, call, "function"), "mkstemp");
	assert_begins(read_trace_text(trace, call, "path"), "/tmp/test-trace-");
	assert_begins(read_trace_frame(trace, call, 0), "make_temporary_file at");
	read_trace_close(trace);
}

static sem_t never, wakes;

static void wait_for_ever(void)
{
	while (sem_wait(&never) != 0)
		;
}

static void wait_and_wait_for_ever(void)
{
	trace_instant("here");
	wait_for_ever();
}

static void *wake_later(void *arg)
{
	usleep(20000);
	sem_post(&wakes);
	return arg;
}

/* Said nothing, and was there before the trace. */
static void test_who_waits_since_before_the_trace_is_in_it(void **state)
{
	const struct read_slice *wait;
	struct read_trace *trace;
	pthread_t silent;

	(void)state;
	sem_init(&never, 0, 0);
	silent = named_thread_start("silent", wait_for_ever);
	named_thread_await("silent", "sem_wait");
	read_trace_close(stop_and_read());
	assert_int_equal(start_for(1), 0);
	trace = stop_and_read();
	wait = read_trace_slice(trace, "sem_wait", 0);
	assert_non_null(wait);
	assert_string_equal(wait->track_name, "silent");
	assert_int_equal(wait->end_ns, 0);
	read_trace_close(trace);
	sem_post(&never);
	pthread_join(silent, NULL);
	assert_int_equal(start_for(1), 0);
}

static void test_waits_end_or_stay_open(void **state)
{
	int64_t start_ns = clock_monotonic_ns(), stop_ns;
	const struct read_slice *wait;
	struct read_trace *trace;
	pthread_t waits, waker;

	(void)state;
	sem_init(&never, 0, 0);
	sem_init(&wakes, 0, 0);
	waits = named_thread_start("waits", wait_and_wait_for_ever);
	named_thread_await("waits", "sem_wait");
	assert_int_equal(pthread_create(&waker, NULL, wake_later, NULL), 0);
	trace_begin("until it wakes");
	while (sem_wait(&wakes) != 0)
		;
	trace_end();
	stop_ns = clock_monotonic_ns();
	trace = stop_and_read();
	for (size_t i = 0; (wait = read_trace_slice(trace, "sem_wait", i)); i++) {
		assert_string_equal(wait->category, "wait");
		assert_string_equal(read_trace_text(trace, wait, "for"),
			wait->tid == getpid() ? "wakes" : "never");
		if (wait->tid == getpid()) {
			assert_in_range(wait->end_ns - wait->begin_ns, 10 * CLOCK_NS_PER_MS,
				stop_ns - start_ns);
			assert_string_equal(wait->parent->name, "until it wakes");
		} else {
			assert_int_equal(wait->end_ns, 0);
			assert_string_equal(wait->track_name, "waits");
		}
	}
	assert_int_equal(read_trace_count(trace, "sem_wait"), 2);
	read_trace_close(trace);
	pthread_join(waker, NULL);
	/* The next trace has it from its own beginning on. */
	start_ns = clock_monotonic_ns();
	assert_int_equal(start_for(1), 0);
	trace_instant("here");
	sem_post(&never);
	pthread_join(waits, NULL);
	trace = stop_and_read();
	wait = read_trace_slice(trace, "sem_wait", 0);
	assert_in_range(wait->end_ns - wait->begin_ns, 1, clock_monotonic_ns() - start_ns);
	assert_true(wait->begin_ns <= read_trace_slice(trace, "here", 0)->begin_ns);
	read_trace_close(trace);
}

/* ---- threads ---- */

static void *name_itself(void *arg)
{
	pthread_setname_np(pthread_self(), "late name");
	trace_instant("inside");
	return arg;
}

static void tell_and_wait_for_ever(void)
{
	sem_post(&wakes);
	wait_for_ever();
}

static TEST_FRAME void create_one(void)
{
	pthread_t thread;

	TRACE_FUNCTION();
	assert_int_equal(pthread_create(&thread, NULL, name_itself, NULL), 0);
	pthread_join(thread, NULL);
}

static void test_threads_begin_and_end(void **state)
{
	const struct read_slice *started, *inside, *gone;
	struct read_trace *trace;

	(void)state;
	create_one();
	trace = stop_and_read();
	started = read_trace_slice(trace, "thread start", 0);
	inside = read_trace_slice(trace, "inside", 0);
	gone = read_trace_slice(trace, "thread end", 0);
	assert_string_equal(read_trace_text(trace, started, "created_by"), "create_one");
	assert_true(started->tid != getpid() && started->tid == gone->tid);
	assert_int_equal(started->track, inside->track);
	assert_int_equal(started->track, gone->track);
	assert_true(started->begin_ns < inside->begin_ns && inside->begin_ns < gone->begin_ns);
	assert_string_equal(gone->track_name, "late name");
	assert_int_equal(read_trace_count(trace, "thread start"), 1);
	assert_int_equal(read_trace_count(trace, "thread end"), 1);
	read_trace_close(trace);
}

#define BURST 30

/* Of those that are still there, the stack that created them. */
static void test_threads_that_stay_have_their_creators_stack(void **state)
{
	const struct read_slice *started;
	struct read_trace *trace;
	pthread_t threads[BURST];

	(void)state;
	sem_init(&never, 0, 0);
	sem_init(&wakes, 0, 0);
	for (int i = 0; i < BURST; i++)
		threads[i] = named_thread_start("stays", tell_and_wait_for_ever);
	for (int i = 0; i < BURST; i++)
		while (sem_wait(&wakes) != 0)
			;
	trace = stop_and_read();
	for (size_t i = 0; i < BURST; i++) {
		started = read_trace_slice(trace, "thread start", i);
		assert_string_equal(started->track_name, "stays");
		assert_string_equal(
			read_trace_text(trace, started, "created_by"), "named_thread_start");
		assert_begins(
			read_trace_frame(trace, started, 0), "named_thread_start at support/");
		assert_begins(read_trace_frame(trace, started, 1),
			"test_threads_that_stay_have_their_creators_stack at");
	}
	assert_int_equal(read_trace_count(trace, "thread end"), 0);
	read_trace_close(trace);
	for (int i = 0; i < BURST; i++)
		sem_post(&never);
	for (int i = 0; i < BURST; i++)
		pthread_join(threads[i], NULL);
}

/* ---- counters ---- */

static void test_counters_are_read_now_and_then(void **state)
{
	struct read_trace *trace;
	int64_t value;

	(void)state;
	counted = 6;
	trace_counter("own", 1 << 20);
	trace_counter("things", 7);
	counted = 8;
	trace = stop_and_read();
	assert_true(read_trace_counter(trace, "things", 0, &value) && value == 5);
	assert_true(read_trace_counter(trace, "things", 1, &value) && value == 7);
	assert_true(read_trace_counter(trace, "things", 2, &value) && value == 8);
	assert_false(read_trace_counter(trace, "things", 3, &value));
	assert_int_equal(read_trace_counter_unit(trace, "things"), 2);
	assert_true(read_trace_counter(trace, "own", 0, &value) && value == 1 << 20);
	assert_int_equal(read_trace_counter_unit(trace, "unknown"), 0);
	read_trace_close(trace);
	counted = 5;
}

/* ---- one at a time ---- */

static void test_there_is_one_at_a_time(void **state)
{
	struct strbuf out = STRBUF_INIT;
	struct read_trace *trace;

	(void)state;
	assert_int_equal(start_for(1), -EBUSY);
	trace_instant("dropped");
	trace_drop();
	assert_int_equal(trace_stop(&out), -EBUSY);
	assert_null(out.data);
	trace_drop();
	trace_turn();
	trace_instant("nobody listens");
	assert_int_equal(start_for(1), 0);
	trace_instant("kept");
	trace = stop_and_read();
	assert_int_equal(read_trace_count(trace, "kept"), 1);
	assert_int_equal(read_trace_count(trace, "dropped"), 0);
	assert_int_equal(read_trace_count(trace, "nobody listens"), 0);
	assert_string_equal(read_trace_process_name(trace), "test");
	read_trace_close(trace);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	if (modules_init() != 0 || probe_births_start() != 0)
		return -1;
	return trace_init();
}

static int drop(void **state)
{
	(void)state;
	trace_drop();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_system_calls_lie_in_their_function),
		TEST(test_who_waits_since_before_the_trace_is_in_it),
		TEST(test_waits_end_or_stay_open),
		TEST(test_threads_begin_and_end),
		TEST(test_threads_that_stay_have_their_creators_stack),
		TEST(test_counters_are_read_now_and_then),
		TEST(test_there_is_one_at_a_time),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
