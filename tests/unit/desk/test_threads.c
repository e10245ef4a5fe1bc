/* The way of a dump from a patient, which is played here, to the desk's reader. */
#include "../http/client.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "desk/threads.h"

#define PATIENT_PATH "/debug/pprof/threads"

static struct http_server *patient, *server;
static struct http_pool *pool;

static void well(struct http_job *job)
{
	assert_string_equal(http_query(job), "debug=2");
	http_reply_text(job, 200, "thread 7 \"app\" [running]:");
}

static void refusing(struct http_job *job)
{
	http_reply_text(job, 500, "no stacks today");
}

static void silent(struct http_job *job)
{
	http_after(job, 60000, well);
}

static void drip(struct http_job *job)
{
	assert_int_equal(http_stream_write(job, "x", 1), 0);
	http_after(job, 100, drip);
}

static void dripping(struct http_job *job)
{
	if (http_stream_begin(job, 200, "text/plain"))
		drip(job);
}

static http_handler *answer;

static void play(struct http_job *job)
{
	answer(job);
}

static int start(void **state)
{
	static const struct http_route route = {PATIENT_PATH, HTTP_GET, play, NULL};
	static char base_url[64];
	const struct http_server_config listen = {"127.0.0.1:0", 1, "test"};
	const struct http_pool_config threads = {"dump", 1, 8, NULL};

	(void)state;
	patient = client_serve(&route, 1, 1);
	snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%d", http_server_port(patient));
	assert_int_equal(http_server_create(&listen, &server), 0);
	assert_int_equal(http_pool_create(&threads, &pool), 0);
	assert_int_equal(threads_mount(server, pool, base_url), 0);
	assert_int_equal(http_server_start(server), 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 0);
	threads_stop();
	http_pool_stop(pool, 1000);
	return 0;
}

static struct client_response get(void)
{
	struct client_response response;

	client_get(server, "/patient/threads", &response);
	return response;
}

static void passes_the_dump_on(void **state)
{
	struct client_response response;

	(void)state;
	answer = well;
	response = get();
	assert_int_equal(response.status, 200);
	assert_string_equal(response.body, "thread 7 \"app\" [running]:\n");
	assert_non_null(strstr(response.head, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
	assert_non_null(strstr(response.head, "\r\nx-content-type-options: nosniff\r\n"));
}

static void says_what_the_patient_said(void **state)
{
	struct client_response response;

	(void)state;
	answer = refusing;
	response = get();
	assert_int_equal(response.status, 502);
	assert_non_null(
		strstr(response.body, "answered 500 instead of its threads: no stacks today"));
}

static void says_that_the_patient_is_away(void **state)
{
	struct client_response response;

	(void)state;
	http_server_stop(patient, 0);
	response = get();
	assert_int_equal(response.status, 502);
	assert_non_null(strstr(response.body, "The patient does not show its threads: 127.0.0.1:"));
}

static void gives_up_within_its_patience(http_handler *slow)
{
	struct client_response response;
	int64_t begin_ns, passed_ns;

	answer = slow;
	begin_ns = clock_monotonic_ns();
	response = get();
	passed_ns = clock_monotonic_ns() - begin_ns;
	assert_int_equal(response.status, 504);
	assert_non_null(strstr(response.body, "did not show its threads within 2 s"));
	assert_true(passed_ns >= THREADS_PATIENCE_MS * CLOCK_NS_PER_MS - CLOCK_NS_PER_MS);
	assert_true(passed_ns < (THREADS_PATIENCE_MS + 1500) * CLOCK_NS_PER_MS);
}

static void waits_for_a_silent_patient_2_s(void **state)
{
	(void)state;
	gives_up_within_its_patience(silent);
}

static void waits_for_a_slow_patient_2_s(void **state)
{
	(void)state;
	gives_up_within_its_patience(dripping);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_the_dump_on), cmocka_unit_test(says_what_the_patient_said),
		cmocka_unit_test(waits_for_a_silent_patient_2_s),
		cmocka_unit_test(waits_for_a_slow_patient_2_s),
		cmocka_unit_test(says_that_the_patient_is_away), /* last: it stays away */
	};

	return cmocka_run_group_tests(tests, start, stop);
}
