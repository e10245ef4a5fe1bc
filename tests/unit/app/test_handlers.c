/* The patient's two pages over real sockets: what they answer, and what the log says of it. */
#include "../http/client.h"
#include "../support/served.h"

#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/step.h"
#include "common/clock.h"
#include "common/strbuf.h"
#include "debug/debug.h"

#define WORKERS 2
#define QUEUE_MAX 1
#define STAMP "[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "
#define STARTING STAMP "Starting processing request\\.\\.\\.\n"
#define PROCESSED STAMP "Request processed in [0-9.]+(µs|ms|s)\n"

static struct served served;

/* ---- the log ---- */

static void assert_log_matches(const char *pattern)
{
	struct strbuf log = served_log(&served);
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, log.data, 0, NULL, 0) != 0)
		fail_msg("the log is\n%swhich does not match\n%s", log.data, pattern);
	regfree(&regex);
	strbuf_free(&log);
}

static int start_count(void)
{
	return served_log_count(&served, "Starting processing request...\n");
}

static int queued_count(void)
{
	return (int)http_pool_queued_count(served.business);
}

static void await(int (*count)(void), int wanted)
{
	int64_t end_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (count() != wanted) {
		assert_true(clock_monotonic_ns() < end_ns);
		poll(NULL, 0, 5);
	}
}

/* ---- the patient, small enough to be full soon ---- */

static int start(void **state)
{
	(void)state;
	served_start(&served, WORKERS, QUEUE_MAX);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return served_stop(&served);
}

static void expect(const char *target, int status, const char *body)
{
	struct client_response response;

	client_get(served.server, target, &response);
	assert_int_equal(response.status, status);
	assert_string_equal(response.body, body);
	assert_non_null(strstr(response.head, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
}

static void expect_later(int fd)
{
	struct client_response response;

	client_receive(fd, false, &response);
	assert_int_equal(response.status, 200);
	assert_string_equal(response.body, "hello world\n");
	close(fd);
}

/* One by one: two at once might meet a full queue before a worker takes the first. */
static void hang_every_worker(int *hung)
{
	for (int i = 0; i < WORKERS; i++) {
		hung[i] = client_ask(served.server, "/");
		await(start_count, i + 1);
	}
}

/* ---- tests ---- */

static void says_hello_and_logs_two_lines(void **state)
{
	(void)state;
	expect("/", 200, "hello world\n");
	assert_log_matches("^" STARTING PROCESSED "$");
}

static void logs_the_same_when_a_worker_serves(void **state)
{
	(void)state;
	assert_int_equal(step_switch(STEP_OF_fault_mutex, true), 0);
	expect("/", 200, "hello world\n");
	assert_log_matches("^" STARTING PROCESSED "$");
}

static void goto_switches(void **state)
{
	struct client_response response;
	int fd = client_connect(served.server);
	bool fixed;

	(void)state;
	expect("/goto?step=6", 200, "switched to step 6\n");
	assert_int_equal(step_current(&fixed), 6);
	assert_false(fixed);
	expect("/goto?step=3&variant=fixed", 200, "switched to step 3 (fixed)\n");
	assert_int_equal(step_current(&fixed), 3);
	assert_true(fixed);
	expect("/goto?variant=leaky&step=2", 200, "switched to step 2\n");
	client_send(fd, "POST /goto?step=0 HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "switched to step 0\n");
	close(fd);
}

static void goto_refuses_nonsense_and_stays(void **state)
{
	static const char *const steps[] = {"step=abc", "step=-1", "step=8", "step=99",
		"step=", "step=1e1", "step=%", "step=4294967298", "variant=fixed"};
	static const char *const variants[] = {"fix", "", "FIXED", "leaky%00", "leaky-and-more"};
	char target[64];
	bool fixed;

	(void)state;
	assert_int_equal(STEP_COUNT, 8); /* or correct the sentence below */
	expect("/goto?step=3", 200, "switched to step 3\n");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		snprintf(target, sizeof(target), "/goto?%s", steps[i]);
		expect(target, 400, "step must be 0 to 7, for example /goto?step=2\n");
	}
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		snprintf(target, sizeof(target), "/goto?step=2&variant=%s", variants[i]);
		expect(target, 400,
			"variant must be leaky or fixed, for example "
			"/goto?step=2&variant=fixed\n");
	}
	assert_int_equal(step_current(&fixed), 3);
	assert_false(fixed);
}

static void goto_alone_tells_the_step(void **state)
{
	struct client_response response;

	(void)state;
	assert_int_equal(step_switch(STEP_OF_fault_cpu, true), 0);
	client_get(served.server, "/goto", &response);
	assert_int_equal(response.status, 200);
	assert_int_equal(strncmp(response.body, "step 2 (fixed)\n", 15), 0);
	for (int step = 0; step < STEP_COUNT; step++)
		assert_non_null(strstr(response.body, step_fault(step)->name));
}

static void leaving_answers_what_hangs_with_every_worker_stuck(void **state)
{
	struct client_response response;
	int hung[WORKERS + QUEUE_MAX];

	(void)state;
	expect("/goto?step=1", 200, "switched to step 1\n");
	hang_every_worker(hung);
	hung[WORKERS] = client_ask(served.server, "/");
	await(queued_count, 1);
	client_get(served.server, "/", &response);
	assert_int_equal(response.status, 503);
	assert_non_null(strstr(response.body, "/goto?step=0"));
	expect("/goto?step=0", 200, "switched to step 0\n");
	for (int i = 0; i < WORKERS + QUEUE_MAX; i++)
		expect_later(hung[i]);
	assert_int_equal(served_log_count(&served, "Request processed in "), WORKERS + QUEUE_MAX);
}

static void does_not_serve_a_client_that_left_the_queue(void **state)
{
	int hung[WORKERS], gone;

	(void)state;
	expect("/goto?step=1", 200, "switched to step 1\n");
	hang_every_worker(hung);
	gone = client_ask(served.server, "/");
	await(queued_count, 1);
	close(gone);
	await(queued_count, 0);
	expect("/goto?step=0", 200, "switched to step 0\n");
	for (int i = 0; i < WORKERS; i++)
		expect_later(hung[i]);
	assert_int_equal(start_count(), WORKERS);
}

/* From the first free descriptor on, none can be opened. */
static struct rlimit forbid_open(void)
{
	struct rlimit limit, low;
	int first_free = dup(STDOUT_FILENO);

	assert_true(first_free > 0);
	close(first_free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)first_free;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	return limit;
}

static void fails_as_a_go_server_panics(void **state)
{
	struct client_response response;
	struct rlimit limit;
	int fd = client_connect(served.server);

	(void)state;
	unsetenv("TMPDIR");
	/* So that the connection is accepted before descriptors run out. */
	client_send(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 200);
	assert_int_equal(step_switch(STEP_OF_fault_fd_leak, false), 0);
	limit = forbid_open();
	client_send(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(response.status, 0);
	close(fd);
	assert_log_matches("^" STARTING PROCESSED STARTING STAMP
			   "http: panic serving 127\\.0\\.0\\.1:[0-9]+: open "
			   "/tmp/sickbay-[[:alnum:]]{6}/sickbay-file-[[:alnum:]]{6}: "
			   "too many open files\n"
			   "thread [0-9]+ \"worker-[01]\" \\[running\\]:\n"
			   "create_files\n\t[^\n]*/faults/fd_leak\\.c:[0-9]+ \\+0x[0-9a-f]+\n"
			   "do_some_business_logic\n\t[^\n]*hello\\.c:[0-9]+ \\+0x[0-9a-f]+\n"
			   "hello_world_handler\n");
	/* And all is well again, with what it took given back. */
	expect("/goto?step=6", 200, "switched to step 6\n");
	expect("/", 200, "hello world\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says_hello_and_logs_two_lines),
		TEST(logs_the_same_when_a_worker_serves),
		TEST(goto_switches),
		TEST(goto_refuses_nonsense_and_stays),
		TEST(goto_alone_tells_the_step),
		TEST(leaving_answers_what_hangs_with_every_worker_stuck),
		TEST(does_not_serve_a_client_that_left_the_queue),
		TEST(fails_as_a_go_server_panics),
	};

	debug_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
