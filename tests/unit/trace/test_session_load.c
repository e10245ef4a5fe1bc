/* Traces of a program that does much, or too much. */
#include "../support/read_trace.h"
#include "../support/test.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "trace/writer.h"
#include "trace/session.h"
#include "trace/trace.h"

static int start_for(int64_t seconds)
{
	return trace_start(&(struct trace_config){.process_name = "test", .seconds = seconds});
}

static int begin(void **state)
{
	(void)state;
	return start_for(1);
}

static struct strbuf stop(void)
{
	struct strbuf out = STRBUF_INIT;

	assert_int_equal(trace_stop(&out), 0);
	return out;
}

static struct read_trace *stop_and_read(void)
{
	struct strbuf out = stop();
	struct read_trace *trace = read_trace_open(&out);

	strbuf_free(&out);
	return trace;
}

/* Of the last word of a trace: what it has, and what not. */
static int64_t ended(const struct read_trace *trace, const char *key)
{
	return read_trace_number(trace, read_trace_slice(trace, "end of trace", 0), key);
}

static void turn_until(int64_t end_ns)
{
	while (clock_monotonic_ns() < end_ns) {
		nanosleep(&(struct timespec){.tv_nsec = TRACE_TURN_MS * CLOCK_NS_PER_MS}, NULL);
		trace_turn();
	}
}

/* ---- threads that come and go between turns ---- */

static atomic_bool stop_churn;
static atomic_int said_count;

static void *say_a_few_words(void *arg)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", gettid());
	for (int i = 0; i < 3; i++) {
		trace_instant("word");
		trace_text("tid", name);
		atomic_fetch_add(&said_count, 1);
		usleep(300);
	}
	return arg;
}

static void *churn(void *arg)
{
	while (!atomic_load(&stop_churn)) {
		pthread_t threads[4];

		for (int i = 0; i < 4; i++)
			assert_int_equal(
				pthread_create(&threads[i], NULL, say_a_few_words, NULL), 0);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	return arg;
}

static void test_what_a_thread_says_is_on_its_track(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + (test_is_stress() ? 3 : 1) * CLOCK_NS_PER_SEC;
	const struct read_slice *word;
	struct read_trace *trace;
	pthread_t threads[2];
	char tid[16];

	(void)state;
	atomic_store(&stop_churn, false);
	atomic_store(&said_count, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
	while (clock_monotonic_ns() < end_ns) {
		writers_add_credit(1 << 30, 1 << 30);
		trace_turn();
	}
	atomic_store(&stop_churn, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	trace = stop_and_read();
	for (size_t i = 0; (word = read_trace_slice(trace, NULL, i)); i++) {
		if (strcmp(word->name, "word") != 0)
			continue;
		snprintf(tid, sizeof(tid), "%d", word->tid);
		assert_string_equal(read_trace_text(trace, word, "tid"), tid);
	}
	assert_int_equal(read_trace_count(trace, "word"), atomic_load(&said_count));
	assert_int_equal(ended(trace, "dropped"), 0);
	read_trace_close(trace);
}

/* ---- requests ---- */

#define REQUESTS 200

static _Atomic(uint64_t) handed_over, taken_over;

static void serve(uint64_t request)
{
	trace_begin_of("serve", request);
	trace_flow(request, false);
	trace_async_number(request, "step", (int64_t)request);
	trace_end();
}

static void *serve_all(void *arg)
{
	for (uint64_t request = 0; request != UINT64_MAX; sched_yield()) {
		request = atomic_exchange(&handed_over, 0);
		if (request == 0 || request == UINT64_MAX)
			continue;
		serve(request);
		atomic_store(&taken_over, request);
	}
	return arg;
}

static uint64_t request_once(void)
{
	uint64_t request = trace_async_begin("/");

	trace_text("path", "/hello");
	atomic_store(&handed_over, request);
	while (atomic_load(&taken_over) != request)
		sched_yield();
	trace_async_number(request, "status", 200);
	trace_async_end(request);
	return request;
}

static void test_a_request_is_put_together_from_two_threads(void **state)
{
	uint64_t numbers[REQUESTS];
	const struct read_slice *request, *served;
	struct read_trace *trace;
	pthread_t worker;

	(void)state;
	/* The worker's ring is read before: its words come before the beginning. */
	assert_int_equal(pthread_create(&worker, NULL, serve_all, NULL), 0);
	writers_add_credit(1 << 30, 1 << 30);
	for (int i = 0; i < REQUESTS; i++) {
		numbers[i] = request_once();
		if (i % 3 == 0)
			trace_turn();
	}
	assert_true(trace_async_begin("never ends") != 0);
	trace_turn();
	trace_turn();
	atomic_store(&handed_over, UINT64_MAX);
	pthread_join(worker, NULL);
	trace = stop_and_read();
	assert_int_equal(read_trace_count(trace, "/"), REQUESTS);
	for (size_t i = 0; i < REQUESTS; i++) {
		request = read_trace_slice(trace, "/", i);
		served = read_trace_slice(trace, "serve", i);
		assert_int_equal(read_trace_number(trace, request, "step"), numbers[i]);
		assert_int_equal(read_trace_number(trace, request, "status"), 200);
		assert_string_equal(read_trace_text(trace, request, "path"), "/hello");
		assert_int_equal(served->flow, numbers[i]);
		assert_int_not_equal(served->tid, getpid());
		assert_true(request->begin_ns < served->begin_ns);
		assert_true(served->end_ns < request->end_ns);
	}
	assert_int_equal(read_trace_slice(trace, "never ends", 0)->end_ns, 0);
	read_trace_close(trace);
}

/* ---- more than there is room for ---- */

static atomic_bool stop_flood;

static TEST_FRAME void inner(int64_t i)
{
	TRACE_FUNCTION();
	trace_number("i", i);
	(void)dup(-1);
}

static void *flood_one_slice(void *arg)
{
	trace_begin("endless");
	for (int64_t i = 0; !atomic_load(&stop_flood); i++)
		inner(i);
	trace_end();
	return arg;
}

static void *flood(void *arg)
{
	for (int64_t i = 0; !atomic_load(&stop_flood); i++) {
		trace_begin("outer");
		inner(i);
		inner(-i);
		trace_end();
	}
	return arg;
}

static void start_flood(pthread_t threads[2], void *(*routine)(void *))
{
	atomic_store(&stop_flood, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, routine, NULL), 0);
}

static void end_flood(const pthread_t threads[2])
{
	atomic_store(&stop_flood, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void test_a_flood_stays_within_its_budget(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + CLOCK_NS_PER_SEC, recorded;
	const struct read_slice *slice;
	struct read_trace *trace;
	pthread_t threads[2];
	struct strbuf out;

	(void)state;
	start_flood(threads, flood);
	turn_until(end_ns);
	end_flood(threads);
	out = stop();
	trace = read_trace_open(&out);
	recorded = ended(trace, "recorded");
	print_message("%zu bytes: %lld slices, %lld left out\n", out.len_bytes, (long long)recorded,
		(long long)ended(trace, "thinned"));
	/* What it begins with, and what a second brings. */
	assert_in_range(out.len_bytes, TRACE_BYTES_PER_SECOND / 2, 2.5 * TRACE_BYTES_PER_SECOND);
	assert_true(ended(trace, "thinned") > recorded);
	/* Those that are there are whole. */
	assert_true(recorded > 100 && read_trace_count(trace, "outer") > 100);
	for (size_t i = 0; (slice = read_trace_slice(trace, "outer", i)); i++) {
		assert_null(slice->parent);
		/* But for the two that were cut off. */
		if (slice->end_ns > 0)
			assert_int_equal(read_trace_count_in(trace, slice, "inner"), 2);
	}
	strbuf_free(&out);
	read_trace_close(trace);
}

static void test_a_slice_without_end_stays_within_it(void **state)
{
	int64_t start_ns = clock_monotonic_ns(), end_ns = start_ns + 2 * CLOCK_NS_PER_SEC;
	struct read_trace *trace;
	pthread_t threads[2];
	struct strbuf out;

	(void)state;
	start_flood(threads, flood_one_slice);
	turn_until(end_ns);
	end_flood(threads);
	out = stop();
	end_ns = clock_monotonic_ns();
	trace = read_trace_open(&out);
	print_message(
		"%zu bytes, %lld dropped\n", out.len_bytes, (long long)ended(trace, "dropped"));
	/* What it begins with, as much overdraft, what its seconds bring, and what fits into two rings. */
	assert_in_range(out.len_bytes, TRACE_BYTES_PER_SECOND / 2,
		(6 + (end_ns - start_ns) / CLOCK_NS_PER_SEC) * TRACE_BYTES_PER_SECOND);
	assert_true(ended(trace, "dropped") > 0);
	assert_int_equal(read_trace_count(trace, "endless"), 2);
	assert_true(read_trace_slice(trace, "endless", 0)->end_ns > 0);
	strbuf_free(&out);
	read_trace_close(trace);
}

static void test_a_trace_may_end_in_the_midst_of_all(void **state)
{
	pthread_t threads[2];

	(void)state;
	trace_drop();
	start_flood(threads, flood);
	for (int i = 0; i < 20; i++) {
		struct read_trace *trace;

		assert_int_equal(start_for(1), 0);
		while (writer_counts().admitted < 20)
			sched_yield();
		trace = stop_and_read();
		assert_true(read_trace_count(trace, "inner") > 0);
		read_trace_close(trace);
	}
	end_flood(threads);
}

/* ---- again and again ---- */

static size_t task_count(void)
{
	DIR *directory = opendir("/proc/self/task");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static long rss_kib(void)
{
	struct strbuf status = STRBUF_INIT;
	long kib;

	assert_int_equal(strbuf_read_file(&status, "/proc/self/status", 65536), 0);
	kib = strtol(strstr(status.data, "VmRSS:") + 6, NULL, 10);
	strbuf_free(&status);
	return kib;
}

static void trace_once(void)
{
	struct strbuf out;

	assert_int_equal(start_for(1), 0);
	for (int i = 0; i < 50; i++)
		inner(i);
	trace_turn();
	out = stop();
	strbuf_free(&out);
}

static void test_traces_leave_nothing_behind(void **state)
{
	long before_kib = 0;
	size_t before_tasks = 0;

	(void)state;
	trace_drop();
	for (int i = 0; i < 100; i++) {
		trace_once();
		if (i == 49) {
			before_kib = rss_kib();
			before_tasks = task_count();
		}
	}
	print_message("%ld KiB, then %ld\n", before_kib, rss_kib());
	assert_int_equal(task_count(), before_tasks);
#ifndef SICKBAY_SAN
	assert_true(rss_kib() < before_kib + 1024);
#endif
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
		TEST(test_what_a_thread_says_is_on_its_track),
		TEST(test_a_request_is_put_together_from_two_threads),
		TEST(test_a_flood_stays_within_its_budget),
		TEST(test_a_slice_without_end_stays_within_it),
		TEST(test_a_trace_may_end_in_the_midst_of_all),
		TEST(test_traces_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
