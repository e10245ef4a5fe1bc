/* Upstream's feeds over real sockets. */
#include "../http/streams.h"
#include "../support/read_metrics.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "upstream/feed.h"

#define FEEDS_MAX 3
#define QUIET_MS 300

static struct http_server *server;

static int start(void **state)
{
	struct http_server_config config = {"127.0.0.1:0", 2, "test"};

	(void)state;
	if (http_server_create(&config, &server))
		return -1;
	feed_mount(server, FEEDS_MAX);
	return http_server_start(server);
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 100);
	assert_int_equal(feed_counts().open_count, 0);
	return 0;
}

static void expect_head(int fd)
{
	struct client_response response;

	client_receive_head(fd, &response);
	assert_int_equal(response.status, 200);
	assert_non_null(strstr(response.head, "\r\nContent-Type: text/event-stream\r\n"));
	assert_non_null(strcasestr(response.head, "\r\nCache-Control: no-store\r\n"));
}

static size_t put_event(char *text, size_t cap_bytes, uint64_t id)
{
	return (size_t)snprintf(text, cap_bytes, "data: {\"id\":%llu}\n\n", (unsigned long long)id);
}

/* One chunk with as many events, the first of them with that id. */
static void expect_events(int fd, uint64_t first_id, int count)
{
	char got[4096] = "", wanted[4096];
	size_t len = 0, size = streams_expect_chunk(fd);

	for (int i = 0; i < count; i++)
		len += put_event(wanted + len, sizeof(wanted) - len, first_id + (uint64_t)i);
	assert_int_equal(size, len);
	streams_expect_bytes(fd, got, size);
	assert_string_equal(got, wanted);
	streams_expect_text(fd, "\r\n");
}

static int open_feed(uint64_t id)
{
	int fd = client_ask(server, "/events");

	expect_head(fd);
	expect_events(fd, id, 1);
	return fd;
}

static void await_open(unsigned count)
{
	int64_t until_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (feed_counts().open_count != count) {
		assert_true(clock_monotonic_ns() < until_ns);
		usleep(1000);
	}
}

static void expect_metrics(uint64_t events, unsigned open)
{
	struct metrics_text out = METRICS_TEXT_INIT;

	feed_collect(&out);
	check_metrics(&out.text);
	assert_true(read_metric(&out.text, "upstream_events_sent_total") == (double)events);
	assert_true(read_metric(&out.text, "upstream_feeds_open") == open);
	strbuf_free(&out.text);
}

static void a_feed_sends_one_event_and_stays(void **state)
{
	uint64_t sent = feed_counts().event_count;
	int fd = open_feed(sent + 1), other = open_feed(sent + 2);
	struct pollfd quiet = {.fd = fd, .events = POLLIN};

	(void)state;
	assert_int_equal(poll(&quiet, 1, QUIET_MS), 0);
	assert_int_equal(feed_counts().open_count, 2);
	expect_metrics(sent + 2, 2);
	close(fd);
	await_open(1);
	close(other);
	await_open(0);
	assert_int_equal(feed_counts().event_count, sent + 2);
}

static void a_limit_ends_it(void **state)
{
	static const int limits[] = {1, 3, FEED_LIMIT_MAX};
	uint64_t sent = feed_counts().event_count;
	int fd = client_connect(server);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char request[64];

		snprintf(request, sizeof(request), "GET /events?limit=%d HTTP/1.1\r\n\r\n",
			limits[i]);
		client_send(fd, request);
		expect_head(fd);
		expect_events(fd, sent + 1, limits[i]);
		streams_expect_text(fd, "0\r\n\r\n");
		sent += (uint64_t)limits[i];
	}
	close(fd);
	await_open(0);
}

static void nonsense_is_refused(void **state)
{
	static const char *const limits[] = {
		"0", "101", "-1", "x", "", "1.5", "5x", "%00", "99999999999999999999"};
	uint64_t sent = feed_counts().event_count, asked = feed_counts().request_count;

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct client_response response;
		char target[64];

		snprintf(target, sizeof(target), "/events?limit=%s", limits[i]);
		client_get(server, target, &response);
		assert_int_equal(response.status, 400);
		assert_string_equal(response.body,
			"limit must be a whole number from 1 to 100; without it the feed never "
			"ends\n");
		asked++;
	}
	assert_int_equal(feed_counts().event_count, sent);
	assert_int_equal(feed_counts().request_count, asked);
}

static void no_more_than_may_be(void **state)
{
	uint64_t sent = feed_counts().event_count;
	struct client_response response;
	int fds[FEEDS_MAX];

	(void)state;
	for (int i = 0; i < FEEDS_MAX; i++)
		fds[i] = open_feed(sent + 1 + (uint64_t)i);
	for (int i = 0; i < 2; i++) {
		client_get(server, "/events?limit=1", &response);
		assert_int_equal(response.status, 503);
		assert_string_equal(response.body, "3 feeds are open, and no more may be "
						   "(UPSTREAM_FEEDS_MAX); close some\n");
	}
	client_get(server, "/", &response);
	assert_int_equal(response.status, 200);
	close(fds[0]);
	await_open(FEEDS_MAX - 1);
	fds[0] = open_feed(sent + 1 + FEEDS_MAX);
	for (int i = 0; i < FEEDS_MAX; i++)
		close(fds[i]);
	await_open(0);
}

static void head_sends_no_event(void **state)
{
	uint64_t sent = feed_counts().event_count;
	int fd = client_connect(server);

	(void)state;
	client_send(fd, "HEAD /events HTTP/1.1\r\n\r\n");
	expect_head(fd);
	await_open(0);
	client_send(fd, "GET /events?limit=1 HTTP/1.1\r\n\r\n");
	expect_head(fd);
	expect_events(fd, sent + 1, 1);
	close(fd);
}

static void the_root_says_what_this_is(void **state)
{
	struct client_response response;

	(void)state;
	client_get(server, "/", &response);
	assert_int_equal(response.status, 200);
	assert_string_equal(response.body, "Sickbay's upstream: /events sends one event and never "
					   "ends, /events?limit=N ends after N.\n");
	client_get(server, "/event", &response);
	assert_int_equal(response.status, 404);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_feed_sends_one_event_and_stays),
		TEST(a_limit_ends_it),
		TEST(nonsense_is_refused),
		TEST(no_more_than_may_be),
		TEST(head_sends_no_event),
		TEST(the_root_says_what_this_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
