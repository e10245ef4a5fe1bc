/* The patient's requests, counted: by what they were, how they ended, and how long they took. */
#include "../http/client.h"
#include "../support/served.h"
#include "../support/read_metrics.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/metrics.h"
#include "app/step.h"
#include "common/clock.h"
#include "debug/debug.h"

#define THREADS 8
#define REQUESTS 20000

static struct served served;

static struct strbuf collect(void)
{
	struct metrics_text out = METRICS_TEXT_INIT;

	metrics_collect(&out);
	return out.text;
}

static double metric(const char *sample)
{
	struct strbuf text = collect();
	double value = read_metric(&text, sample);

	strbuf_free(&text);
	return value;
}

static void promtool_likes_it(void **state)
{
	struct strbuf text = collect();

	(void)state;
	check_metrics(&text);
	strbuf_free(&text);
}

static void every_step_has_its_series(void **state)
{
	struct strbuf text = collect();
	char name[32], sample[128];

	(void)state;
	for (int step = 0; step < STEP_COUNT; step++) {
		snprintf(name, sizeof(name), "%s", step_fault(step)->name);
		for (size_t i = 0; name[i]; i++)
			if (name[i] == ' ')
				name[i] = '_';
		for (int i = 0; i < 6; i++) {
			snprintf(sample, sizeof(sample),
				"app_requests_total{step=\"%s\",variant=\"%s\",outcome=\"%s\"}",
				name, i % 2 ? "fixed" : "leaky",
				i < 2   ? "ok"
				: i < 4 ? "failed"
					: "left");
			(void)read_metric(&text, sample);
		}
		snprintf(sample, sizeof(sample), "app_request_duration_seconds_count{step=\"%s\"}",
			name);
		(void)read_metric(&text, sample);
	}
	strbuf_free(&text);
}

#define BUCKET(le) "app_request_duration_seconds_bucket{step=\"cpu\",le=\"" le "\"}"

/* A duration that equals a bound is below it. */
static void durations_fall_into_their_buckets(void **state)
{
	const struct step_turn turn = {STEP_OF_fault_cpu, step_fault(STEP_OF_fault_cpu), false};

	(void)state;
	metrics_count_request(&turn, METRICS_OK, 0);
	metrics_count_request(&turn, METRICS_OK, 100000);
	metrics_count_request(&turn, METRICS_FAILED, 100001);
	metrics_count_request(&turn, METRICS_OK, 5 * CLOCK_NS_PER_SEC + 1);
	metrics_count_request(&turn, METRICS_LEFT, 10 * CLOCK_NS_PER_SEC);
	metrics_count_request(&turn, METRICS_OK, 3600 * CLOCK_NS_PER_SEC);
	assert_int_equal((int)metric(BUCKET("0.0001")), 2);
	assert_int_equal((int)metric(BUCKET("0.00025")), 3);
	assert_int_equal((int)metric(BUCKET("5")), 3);
	assert_int_equal((int)metric(BUCKET("10")), 5);
	assert_int_equal((int)metric(BUCKET("+Inf")), 6);
	assert_int_equal((int)metric("app_request_duration_seconds_count{step=\"cpu\"}"), 6);
	assert_int_equal((int)metric("app_request_duration_seconds_sum{step=\"cpu\"}"), 3615);
	assert_int_equal(
		(int)metric("app_requests_total{step=\"cpu\",variant=\"leaky\",outcome=\"ok\"}"),
		4);
}

static void *count_many(void *arg)
{
	const struct step_turn turn = {
		STEP_OF_fault_memory_alloc, step_fault(STEP_OF_fault_memory_alloc), true};

	(void)arg;
	for (int i = 0; i < REQUESTS; i++)
		metrics_count_request(&turn, i % 4 ? METRICS_OK : METRICS_FAILED, 1000);
	return NULL;
}

static void none_is_lost_between_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(
		(int)metric(
			"app_requests_total{step=\"memory_alloc\",variant=\"fixed\",outcome=\"ok\"}"),
		THREADS * REQUESTS / 4 * 3);
	assert_int_equal(
		(int)metric(
			"app_requests_total{step=\"memory_alloc\",variant=\"fixed\",outcome=\"failed\"}"),
		THREADS * REQUESTS / 4);
	assert_true(metric("app_request_duration_seconds_sum{step=\"memory_alloc\"}") ==
		    THREADS * REQUESTS / 1e6);
}

/* ---- by requests ---- */

static int begun_count(void)
{
	return served_log_count(&served, "Starting processing");
}

static int connection_count(void)
{
	return (int)http_connection_count();
}

static void await(int (*count)(void), int wanted)
{
	int64_t end_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (count() != wanted) {
		assert_true(clock_monotonic_ns() < end_ns);
		poll(NULL, 0, 5);
	}
}

static void the_step_is_told(void **state)
{
	(void)state;
	assert_int_equal((int)metric("app_step{number=\"0\",name=\"none\",variant=\"leaky\"}"), 1);
	assert_int_equal(step_switch(STEP_OF_fault_fd_leak, true), 0);
	assert_int_equal(
		(int)metric("app_step{number=\"6\",name=\"fd_leak\",variant=\"fixed\"}"), 1);
	assert_int_equal(step_switch(0, false), 0);
}

static void an_answer_counts_before_it_is_sent(void **state)
{
	static const char sample[] =
		"app_requests_total{step=\"none\",variant=\"leaky\",outcome=\"ok\"}";
	struct client_response response;
	int before = (int)metric(sample);

	(void)state;
	for (int i = 1; i <= 3; i++) {
		client_get(served.server, "/", &response);
		assert_int_equal(response.status, 200);
		assert_int_equal((int)metric(sample), before + i);
	}
}

static void a_failure_counts(void **state)
{
	struct rlimit limit, low;
	struct client_response response;
	int fd = client_connect(served.server), first_free;

	(void)state;
	unsetenv("TMPDIR");
	client_send(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(step_switch(STEP_OF_fault_fd_leak, false), 0);
	first_free = dup(0);
	close(first_free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)first_free;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	client_send(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(fd);
	assert_int_equal(step_switch(0, false), 0);
	assert_int_equal(
		(int)metric(
			"app_requests_total{step=\"fd_leak\",variant=\"leaky\",outcome=\"failed\"}"),
		1);
	assert_int_equal(
		(int)metric(
			"app_requests_total{step=\"fd_leak\",variant=\"leaky\",outcome=\"ok\"}"),
		0);
}

static double mutex_count(const char *outcome)
{
	char sample[96];

	snprintf(sample, sizeof(sample),
		"app_requests_total{step=\"mutex\",variant=\"leaky\",outcome=\"%s\"}", outcome);
	return metric(sample);
}

static void a_client_that_leaves_counts_when_its_request_ends(void **state)
{
	struct client_response response;
	int stays, leaves;

	(void)state;
	assert_int_equal(step_switch(STEP_OF_fault_mutex, false), 0);
	leaves = client_ask(served.server, "/");
	stays = client_ask(served.server, "/");
	await(begun_count, 2);
	close(leaves);
	await(connection_count, 1);
	assert_int_equal((int)mutex_count("left"), 0);
	assert_int_equal(step_switch(0, false), 0);
	client_receive(stays, false, &response);
	assert_int_equal(response.status, 200);
	assert_int_equal((int)mutex_count("left"), 1);
	assert_int_equal((int)mutex_count("ok"), 1);
	close(stays);
}

static int start(void **state)
{
	(void)state;
	served_start(&served, 2, 8);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return served_stop(&served);
}

#define SERVED(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promtool_likes_it),
		cmocka_unit_test(every_step_has_its_series),
		cmocka_unit_test(durations_fall_into_their_buckets),
		cmocka_unit_test(none_is_lost_between_threads),
		SERVED(the_step_is_told),
		SERVED(an_answer_counts_before_it_is_sent),
		SERVED(a_failure_counts),
		SERVED(a_client_that_leaves_counts_when_its_request_ends),
	};

	debug_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
