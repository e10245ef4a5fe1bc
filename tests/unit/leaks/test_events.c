/* The HTTP pair: its lines, and http-fixed with an upstream that answers, and with none. */
#include "../support/peer.h"
#include "../support/test.h"

#include <stdio.h>
#include <string.h>

#include "http/http.h"
#include "leaks/http/events.h"

#define REQUESTS 20

static struct peer peer;

static int set_up(void **state)
{
	(void)state;
	peer = peer_start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	peer_stop(&peer);
	return 0;
}

static struct measure take(void)
{
	struct measure now;

	assert_int_equal(measure_take(0, &now), 0);
	return now;
}

static void test_lines(void **state)
{
	const struct measure now = {.fd_count = 158, .connection_count = 50, .thread_count = 53};
	char text[256] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	event_pair.say_start(out, &now);
	event_pair.say_state(out, &now, &(struct pair_counts){.taken = 49});
	event_pair.say_state(out, &now, &(struct pair_counts){.taken = 49, .failures = 2});
	fclose(out);
	assert_string_equal(text,
		"Threads: 53\n"
		"Threads: 53  |  Connections: 50  |  Requests made: 49\n"
		"Threads: 53  |  Connections: 50  |  Requests made: 49  |  Failures: 2\n");
	assert_int_equal(event_pair.held(&now), 50);
}

/* What the client says of itself is what the kernel has. */
static void test_connections_are_used_again(void **state)
{
	struct pair_counts counts = {0};
	struct measure before = take(), after;

	(void)state;
	assert_int_equal(event_pair.begin(&(struct pair_settings){.upstream = peer.url}), 0);
	for (int i = 0; i < REQUESTS; i++)
		assert_int_equal(event_pair.act(&counts), 0);
	after = take();
	assert_int_equal(counts.taken, REQUESTS);
	assert_int_equal(counts.given_back, REQUESTS);
	assert_int_equal(counts.failures, 0);
	assert_in_range(after.connection_count, 1, 2);
	assert_int_equal(after.connection_count, client_connection_count());
	assert_int_equal(after.thread_count, before.thread_count);
	event_pair.end();
}

static void test_upstream_is_down(void **state)
{
	const struct pair_settings settings = {.upstream = "http://127.0.0.1:1"};
	struct pair_counts counts = {0};

	(void)state;
	assert_int_equal(event_pair.begin(&settings), 0);
	assert_int_equal(event_pair.act(&counts), 1000);
	assert_int_equal(event_pair.act(&counts), 1000);
	assert_int_equal(counts.taken, 0);
	assert_int_equal(counts.failures, 2);
	event_pair.end();
}

/* A server without a route: 404. */
static void test_upstream_refuses(void **state)
{
	const struct http_server_config config = {
		.listen = "127.0.0.1:0", .loop_count = 1, .name = "refuses"};
	struct pair_counts counts = {0};
	struct measure before;
	struct http_server *server;
	char url[64];

	(void)state;
	assert_int_equal(http_server_create(&config, &server), 0);
	assert_int_equal(http_server_start(server), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(server));
	assert_int_equal(event_pair.begin(&(struct pair_settings){.upstream = url}), 0);
	before = take();
	assert_int_equal(event_pair.act(&counts), 1000);
	assert_int_equal(event_pair.act(&counts), 1000);
	assert_int_equal(counts.taken, 0);
	assert_int_equal(counts.failures, 2);
	assert_int_equal(take().thread_count, before.thread_count);
	event_pair.end();
	http_server_stop(server, 1000);
}

static void test_upstream_is_no_address(void **state)
{
	(void)state;
	assert_true(event_pair.begin(&(struct pair_settings){.upstream = "nonsense"}) < 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_connections_are_used_again),
		cmocka_unit_test(test_upstream_is_down),
		cmocka_unit_test(test_upstream_refuses),
		cmocka_unit_test(test_upstream_is_no_address),
	};

	(void)argc;
	if (strcmp(argv[0], PEER_NAME) == 0)
		return peer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
