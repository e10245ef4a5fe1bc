/* What pages are told, and when they are cut off. */
#include "events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "desk/hub.h"

#define STALL_MS 500

static struct http_server *server;

static void publish(
	void (*how)(const char *, const struct strbuf *), const char *event, const char *text)
{
	struct strbuf json = STRBUF_INIT;

	strbuf_puts(&json, text);
	how(event, &json);
	strbuf_free(&json);
}

static void keep(const char *event, const char *text)
{
	publish(hub_publish, event, text);
}

static void pass(const char *event, const char *text)
{
	publish(hub_publish_passing, event, text);
}

static void all_pages_are_told_the_same(void **state)
{
	struct events one = events_open(server), other = events_open(server);

	(void)state;
	keep("kept", "{\"n\":1}");
	pass("passing", "{\"n\":2}");
	keep("kept", "{\"n\":3}");
	for (int i = 0; i < 2; i++) {
		struct events *page = i ? &other : &one;

		assert_string_equal(events_await(page, "kept", ""), "{\"n\":1}");
		assert_string_equal(events_await(page, "passing", ""), "{\"n\":2}");
		assert_string_equal(events_await(page, "kept", ""), "{\"n\":3}");
		events_close(page);
	}
}

static void who_comes_anew_is_told_the_last_of_what_is_kept(void **state)
{
	struct events page;

	(void)state;
	keep("kept", "{\"n\":4}");
	keep("second", "{\"n\":5}");
	keep("kept", "{\"n\":6}");
	pass("passing", "{\"n\":7}");
	page = events_open(server);
	pass("passing", "{\"n\":8}");
	assert_string_equal(events_await(&page, "kept", ""), "{\"n\":6}");
	assert_string_equal(events_await(&page, "second", ""), "{\"n\":5}");
	assert_string_equal(events_await(&page, "passing", ""), "{\"n\":8}");
	assert_null(strstr(page.text.data, "{\"n\":4}"));
	events_close(&page);
}

static void a_long_event_comes_whole(void **state)
{
	static char text[200 * 1024];
	struct events page = events_open(server);

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	pass("long", text);
	assert_string_equal(events_await(&page, "long", ""), text);
	events_close(&page);
}

/* Reads up to the connection's end; fails the test if it does not come. */
static void expect_end(int fd)
{
	char text[64 * 1024];
	ssize_t got;

	while ((got = recv(fd, text, sizeof(text), 0)) > 0)
		;
	assert_true(got == 0 || errno == ECONNRESET);
}

static void who_falls_behind_is_cut_off(void **state)
{
	struct events page = events_open(server);

	(void)state;
	/* In far less time than it takes a page to look twice. */
	for (int i = 0; i < 2000; i++)
		pass("more", "{}");
	expect_end(page.fd);
	events_close(&page);
}

static void who_takes_nothing_is_cut_off(void **state)
{
	static char text[16 * 1024 * 1024]; /* more than the system keeps for it */
	const int room_bytes = 4096;
	struct timespec pause = {0, 100 * CLOCK_NS_PER_MS};
	struct events page;
	int64_t until_ns;

	(void)state;
	page = events_open(server);
	assert_int_equal(
		setsockopt(page.fd, SOL_SOCKET, SO_RCVBUF, &room_bytes, sizeof(room_bytes)), 0);
	memset(text, 'x', sizeof(text) - 1);
	pass("much", text);
	until_ns = clock_monotonic_ns() + 30 * CLOCK_NS_PER_SEC;
	while (http_connection_count() > 0) {
		assert_true(clock_monotonic_ns() < until_ns);
		nanosleep(&pause, NULL);
	}
	events_close(&page);
}

static void there_are_only_so_many_pages(void **state)
{
	static struct events pages[HUB_PAGES_MAX];
	struct client_response response;
	int64_t until_ns;

	(void)state;
	for (int i = 0; i < HUB_PAGES_MAX; i++)
		pages[i] = events_open(server);
	client_get(server, "/events", &response);
	assert_int_equal(response.status, 503);
	assert_non_null(strstr(response.body, "close a page"));
	for (int i = 0; i < HUB_PAGES_MAX; i++)
		events_close(&pages[i]);
	/* That they left is noticed: one more may come. */
	until_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;
	do {
		int fd = client_ask(server, "/events");

		client_receive_head(fd, &response);
		close(fd);
		assert_true(clock_monotonic_ns() < until_ns);
	} while (response.status != 200);
}

static void streams_end_with_the_hub(void **state)
{
	struct events page = events_open(server);
	int64_t begin_ns = clock_monotonic_ns();

	(void)state;
	hub_stop();
	expect_end(page.fd);
	assert_true(clock_monotonic_ns() - begin_ns < CLOCK_NS_PER_SEC);
	events_close(&page);
}

static int start(void **state)
{
	static const struct http_server_config config = {"127.0.0.1:0", 2, "test"};

	(void)state;
	assert_int_equal(http_server_create(&config, &server), 0);
	hub_mount(server, STALL_MS);
	return http_server_start(server);
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 1000);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pages_are_told_the_same),
		cmocka_unit_test(who_comes_anew_is_told_the_last_of_what_is_kept),
		cmocka_unit_test(a_long_event_comes_whole),
		cmocka_unit_test(who_falls_behind_is_cut_off),
		cmocka_unit_test(who_takes_nothing_is_cut_off),
		cmocka_unit_test(there_are_only_so_many_pages),
		cmocka_unit_test(streams_end_with_the_hub), /* the last one: for good */
	};

	return cmocka_run_group_tests(tests, start, stop);
}
