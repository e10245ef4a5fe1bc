/* /debug/pprof/trace over real sockets: what a trace has of requests, refusals, clients that leave. */
#include "../http/client.h"
#include "../support/plane.h"
#include "../support/read_trace.h"
#include "../support/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "debug/debug.h"
#include "debug/internal.h"
#include "diag/cpu.h"
#include "trace/session.h"
#include "trace/trace.h"

#define DEADLINE_NS (10 * CLOCK_NS_PER_SEC)
#define BUSY "A trace is being taken already"

static struct http_server *server;
static struct http_pool *debug_workers, *workers;

/* ---- the program ---- */

static TEST_FRAME void do_business(void)
{
	struct timespec now, until;
	static volatile double sink;

	TRACE_FUNCTION();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &until);
	until.tv_nsec += 100 * CLOCK_NS_PER_MS;
	do {
		for (int i = 0; i < 10000; i++)
			sink = sink * 1.0000001 + 0.5;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while ((now.tv_sec - until.tv_sec) * CLOCK_NS_PER_SEC + now.tv_nsec < until.tv_nsec);
}

static void work(struct http_job *job)
{
	do_business();
	trace_async_number(http_mark(job), "step", 6);
	http_reply_text(job, 201, "done");
}

static void submit(struct http_job *job)
{
	assert_int_equal(http_submit(job, workers, work), 0);
}

/* Answers 200 from when on requests are watched. */
static void ready(struct http_job *job)
{
	http_reply_text(job, http_mark(job) ? 200 : 503, "ready");
}

static const struct http_route routes[] = {
	{"/business/*", HTTP_GET, submit, NULL},
	{"/ready", HTTP_GET, ready, NULL},
};

/* ---- its clients ---- */

static void assert_answer(const char *target, int status, const char *part)
{
	struct client_response response;

	client_get(server, target, &response);
	if (response.status != status || !strstr(response.body, part))
		fail_msg("%s: expected %d and \"%s\", got %d and \"%s\"", target, status, part,
			response.status, response.body);
}

static void await_trace(bool is_on)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;

	while (trace_is_on() != is_on) {
		assert_true(clock_monotonic_ns() < end_ns);
		usleep(1000);
	}
}

static int begin_trace(const char *target)
{
	int fd = client_connect(server);

	client_send(fd, "GET ");
	client_send(fd, target);
	client_send(fd, " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
	await_trace(true);
	return fd;
}

/*
 * It is on a little before it hears of requests. Asking without a pause would use up what a trace may
 * hold of them.
 */
static void await_watching(void)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;
	struct client_response response = {0};

	while (response.status != 200) {
		assert_true(clock_monotonic_ns() < end_ns);
		usleep(5000);
		client_get(server, "/ready", &response);
	}
}

static struct read_trace *end_trace(int fd)
{
	struct strbuf response = STRBUF_INIT, body = STRBUF_INIT;
	struct read_trace *trace;
	const char *end_of_head;

	assert_int_equal(strbuf_read_fd(&response, fd, 64 << 20), 0);
	close(fd);
	assert_memory_equal(response.data, "HTTP/1.1 200", strlen("HTTP/1.1 200"));
	end_of_head = strstr(response.data, "\r\n\r\n") + 4;
	strbuf_add(&body, end_of_head, response.len_bytes - (size_t)(end_of_head - response.data));
	trace = read_trace_open(&body);
	strbuf_free(&body);
	strbuf_free(&response);
	return trace;
}

/* ---- what a trace has of a request ---- */

/* NAME's INDEX-th of CATEGORY. */
static const struct read_slice *slice_of(
	const struct read_trace *trace, const char *category, const char *name, size_t index)
{
	const struct read_slice *slice;

	for (size_t i = 0; (slice = read_trace_slice(trace, name, i)); i++)
		if (strcmp(slice->category, category) == 0 && index-- == 0)
			return slice;
	fail_msg("no %s %s", category, name);
	return NULL;
}

/* The slice or instant that FLOW ends in, or goes on from. */
static const struct read_slice *of_flow(
	const struct read_trace *trace, const char *name, uint64_t flow, bool ends)
{
	const struct read_slice *slice;

	for (size_t i = 0; (slice = read_trace_slice(trace, name, i)); i++)
		if ((ends ? slice->ending_flow : slice->flow) == flow)
			return slice;
	fail_msg("no %s with flow %llu", name, (unsigned long long)flow);
	return NULL;
}

static void assert_request(const struct read_trace *trace)
{
	const struct read_slice *request = slice_of(trace, "request", "/business/*", 0);
	const struct read_slice *on_loop = slice_of(trace, "function", "/business/*", 0);
	const struct read_slice *on_worker = slice_of(trace, "function", "/business/*", 1);
	const struct read_slice *function = read_trace_slice(trace, "do_business", 0);
	const struct read_slice *answer, *first;

	assert_string_equal(read_trace_text(trace, request, "method"), "GET");
	assert_string_equal(read_trace_text(trace, request, "path"), "/business/now");
	assert_string_equal(read_trace_text(trace, request, "query"), "who=me&x=%00");
	assert_int_equal(read_trace_number(trace, request, "status"), 201);
	assert_int_equal(read_trace_number(trace, request, "step"), 6);
	assert_int_equal(request->tid, 0);
	assert_string_equal(on_worker->track_name, "business-0");
	assert_int_not_equal(on_loop->tid, on_worker->tid);
	assert_ptr_equal(function->parent, on_worker);
	assert_true(request->begin_ns <= on_loop->begin_ns);
	assert_true(on_loop->begin_ns <= on_worker->begin_ns);
	assert_true(on_worker->begin_ns < request->end_ns);
	assert_true(function->end_ns - function->begin_ns >= 100 * CLOCK_NS_PER_MS);
	/* Arrows, from the accepted connection on. */
	assert_int_not_equal(on_loop->flow, 0);
	assert_int_equal(on_worker->flow, on_loop->flow);
	answer = of_flow(trace, "answer", on_loop->flow, true);
	assert_int_equal(answer->tid, on_loop->tid);
	for (size_t i = 0; (first = read_trace_slice(trace, "first request", i)); i++)
		if (first->begin_ns >= request->begin_ns)
			break;
	assert_non_null(first);
	assert_true(
		of_flow(trace, "accept", first->ending_flow, false)->begin_ns < request->begin_ns);
}

static void assert_counters(const struct read_trace *trace)
{
	static const char *const names[] = {"RSS",
#ifndef SICKBAY_SAN
		"heap in use",
#endif
		"threads", "open descriptors", "connections"};
	int64_t value;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_true(read_trace_counter(trace, names[i], 5, &value));
		if (value <= 0)
			fail_msg("%s: %lld", names[i], (long long)value);
	}
	/* Bytes, and count. */
	assert_int_equal(read_trace_counter_unit(trace, "heap in use"), 3);
	assert_int_equal(read_trace_counter_unit(trace, "threads"), 2);
}

/* Whether the sampler has any; -1: the kernel (without CONFIG_CHECKPOINT_RESTORE) does not say. */
static int has_cpu_timers(void)
{
	struct strbuf timers = STRBUF_INIT;
	char line[32];
	bool has;

	if (strbuf_read_file(&timers, "/proc/self/timers", 1 << 20) != 0)
		return -1;
	snprintf(line, sizeof(line), "signal: %d/", SIGPROF);
	has = timers.data && strstr(timers.data, line);
	strbuf_free(&timers);
	return has;
}

static void test_a_trace_has_what_became_of_requests(void **state)
{
	struct client_response response;
	struct read_trace *trace;
	int fd = begin_trace("/debug/pprof/trace?seconds=2");

	(void)state;
	await_watching();
	assert_int_not_equal(has_cpu_timers(), 0);
	client_get(server, "/business/now?who=me&x=%00", &response);
	assert_int_equal(response.status, 201);
	client_get(server, "/business/again", &response);
	trace = end_trace(fd);
	assert_request(trace);
	assert_null(read_trace_text(trace, slice_of(trace, "request", "/business/*", 1), "query"));
	assert_counters(trace);
	/* Two times 100 ms, at 100 Hz. */
	assert_in_range(read_trace_samples_in(trace, "do_business"), 14, 26);
	assert_string_equal(read_trace_process_name(trace), program_invocation_short_name);
	read_trace_close(trace);
}

static void test_a_profile_may_run_meanwhile(void **state)
{
	struct strbuf profile = STRBUF_INIT;
	struct client_response response;
	struct read_trace *trace;
	int fd = begin_trace("/debug/pprof/trace?seconds=2");

	(void)state;
	await_watching();
	assert_int_equal(cpu_profile_start(50), 0);
	client_get(server, "/business/now", &response);
	assert_int_equal(cpu_profile_stop(&profile), 0);
	strbuf_free(&profile);
	trace = end_trace(fd);
	assert_in_range(read_trace_samples_in(trace, "do_business"), 3, 7);
	read_trace_close(trace);
}

/* ---- refusals, and clients that leave ---- */

static void test_nonsense_gets_a_sentence(void **state)
{
	static const char *const seconds[] = {"0", "301", "-1", "abc", "", "1.5"};
	char target[64];

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		snprintf(target, sizeof(target), "/debug/pprof/trace?seconds=%s", seconds[i]);
		assert_answer(target, 400, "seconds must be a whole number from 1 to 300");
	}
	assert_false(trace_is_on());
}

static void test_there_is_one_at_a_time(void **state)
{
	int fd = begin_trace("/debug/pprof/trace?seconds=300");

	(void)state;
	assert_answer("/debug/pprof/trace?seconds=1", 500, BUSY);
	assert_answer("/debug/pprof/trace", 500, BUSY);
	/* Those who were refused did not end it. */
	assert_true(trace_is_on());
	close(fd);
	await_trace(false);
}

static void test_a_client_that_leaves_ends_its_trace(void **state)
{
	int64_t threads = 0, fds = 0, end_ns;

	(void)state;
	for (int i = 0; i < 6; i++) {
		int fd = begin_trace("/debug/pprof/trace?seconds=300");

		if (i % 2)
			shutdown(fd, SHUT_WR);
		close(fd);
		await_trace(false);
		/* The next may start, once that one is thrown away. */
		read_trace_close(end_trace(begin_trace("/debug/pprof/trace?seconds=1")));
		assert_answer("/ready", 503, "");
		if (i == 1) {
			threads = process_thread_count();
			fds = process_fd_count();
		}
	}
	end_ns = clock_monotonic_ns() + DEADLINE_NS;
	while (process_thread_count() > threads || process_fd_count() > fds ||
		has_cpu_timers() == 1) {
		assert_true(clock_monotonic_ns() < end_ns);
		usleep(1000);
	}
}

static int set_up(void **state)
{
	static const struct http_pool_config config = {"business", 1, 64, NULL};

	(void)state;
	debug_init();
	assert_int_equal(http_pool_create(&config, &workers), 0);
	server = plane_create(&debug_workers);
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
	assert_int_equal(http_server_start(server), 0);
	/* No part of the program: samples would interrupt its socket calls, which have timeouts. */
	debug_observe_thread();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	plane_stop(server, debug_workers);
	http_pool_stop(workers, 1000);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_trace_has_what_became_of_requests),
		cmocka_unit_test(test_a_profile_may_run_meanwhile),
		cmocka_unit_test(test_nonsense_gets_a_sentence),
		cmocka_unit_test(test_there_is_one_at_a_time),
		cmocka_unit_test(test_a_client_that_leaves_ends_its_trace),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
