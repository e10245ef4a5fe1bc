/* The patient with its debug plane, over real sockets: what leaks is named, and is gone after. */
#include "../http/client.h"
#include "../support/peer.h"
#include "../support/plane.h"
#include "../support/read_profile.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/handlers.h"
#include "app/step.h"
#include "common/clock.h"
#include "common/strbuf.h"
#include "debug/debug.h"

#define REQUESTS 3
#define FILES (5 * REQUESTS)

static struct peer upstream;
static struct http_server *server;
static struct http_pool *business, *control, *debug;

static struct strbuf receive_body(int fd)
{
	struct strbuf response = STRBUF_INIT, body = STRBUF_INIT;
	const char *end_of_head;

	assert_int_equal(strbuf_read_fd(&response, fd, 16 << 20), 0);
	assert_memory_equal(response.data, "HTTP/1.1 200 ", 13);
	end_of_head = strstr(response.data, "\r\n\r\n");
	assert_non_null(end_of_head);
	end_of_head += 4;
	strbuf_add(&body, end_of_head, response.len_bytes - (size_t)(end_of_head - response.data));
	strbuf_free(&response);
	close(fd);
	return body;
}

static int ask(const char *target)
{
	char request[256];
	int fd = client_connect(server);

	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", target);
	client_send(fd, request);
	return fd;
}

static struct strbuf get(const char *target)
{
	return receive_body(ask(target));
}

static void go_to(const char *target)
{
	struct strbuf body = get(target);

	assert_memory_equal(body.data, "switched to step ", 17);
	strbuf_free(&body);
}

static void serve_some(void)
{
	for (int i = 0; i < REQUESTS; i++) {
		struct strbuf body = get("/");

		assert_string_equal(body.data, "hello world\n");
		strbuf_free(&body);
	}
}

static struct read_profile *open_profile(const char *target)
{
	struct strbuf body = get(target);
	struct read_profile *profile = read_profile_open(&body);

	strbuf_free(&body);
	return profile;
}

static int64_t open_count(const char *target, const char *function)
{
	struct read_profile *profile = open_profile(target);
	int64_t count = read_profile_cumulative(profile, 0, function);

	read_profile_close(profile);
	return count;
}

static void assert_text(const char *target, const char *part, bool is_there)
{
	struct strbuf body = get(target);

	if ((strstr(body.data, part) != NULL) != is_there)
		fail_msg("%s has %s\"%s\":\n%s", target, is_there ? "no " : "", part, body.data);
	strbuf_free(&body);
}

static void the_leak_is_named_until_its_step_is_left(void **state)
{
	struct read_profile *profile;

	(void)state;
	go_to("/goto?step=6");
	serve_some();
	profile = open_profile("/debug/pprof/fd");
	assert_int_equal(read_profile_labelled(profile, 0, "create_files", "kind", "file"), FILES);
	assert_int_equal(
		read_profile_edge(profile, 0, "create_files", "do_some_business_logic"), FILES);
	read_profile_close(profile);
	assert_text("/debug/pprof/fd?debug=1", "\n15 @ 0x", true);
	assert_text("/debug/pprof/fd?debug=1", "services/app/faults/fd_leak.c:", true);
	assert_text("/debug/pprof/fd?debug=2", "/sickbay-file-", true);
	assert_int_equal(open_count("/debug/pprof/connections", "create_files"), 0);
	go_to("/goto?step=0");
	assert_int_equal(open_count("/debug/pprof/fd", "create_files"), 0);
	assert_text("/debug/pprof/fd?debug=1", "create_files", false);
	assert_text("/debug/pprof/fd?debug=2", "/sickbay-file-", false);
}

static int64_t receiver_count(void)
{
	struct strbuf body = get("/debug/pprof/threads?debug=2");
	int64_t count = 0;

	for (const char *at = body.data; (at = strstr(at, "\"recv-")); at++)
		count++;
	strbuf_free(&body);
	return count;
}

static void await_receivers(int64_t count)
{
	int64_t end_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (receiver_count() != count)
		assert_true(clock_monotonic_ns() < end_ns);
}

/* Through a library that has no symbols of its own. */
static void leaked_connections_are_named_with_their_threads(void **state)
{
	struct read_profile *profile;

	(void)state;
	go_to("/goto?step=7");
	serve_some();
	await_receivers(REQUESTS);
	profile = open_profile("/debug/pprof/connections");
	assert_int_equal(
		read_profile_labelled(profile, 0, "call_upstream", "kind", "connection"), REQUESTS);
	assert_int_equal(
		read_profile_edge(profile, 0, "call_upstream", "do_some_business_logic"), REQUESTS);
	read_profile_close(profile);
	assert_text("/debug/pprof/connections?debug=1", "/faults/connection_leak.c:", true);
	assert_int_equal(open_count("/debug/pprof/fd", "call_upstream"), 3 * REQUESTS);
	assert_int_equal(open_count("/debug/pprof/threads", "recv_response"), REQUESTS);
	assert_int_equal(open_count("/debug/pprof/threadcreate", "call_upstream"), REQUESTS);
	assert_text("/debug/pprof/threads?debug=2", "\ncall_upstream\n", true);
	go_to("/goto?step=0");
	assert_int_equal(open_count("/debug/pprof/fd", "call_upstream"), 0);
	await_receivers(0);
}

static void the_fixed_variant_of_it_keeps_one(void **state)
{
	(void)state;
	go_to("/goto?step=7&variant=fixed");
	serve_some();
	assert_int_equal(open_count("/debug/pprof/connections", "call_upstream"), 1);
	assert_int_equal(open_count("/debug/pprof/threads", "recv_response"), 0);
	go_to("/goto?step=0");
	assert_int_equal(open_count("/debug/pprof/connections", "call_upstream"), 0);
}

static void the_fixed_variant_keeps_nothing(void **state)
{
	(void)state;
	go_to("/goto?step=6&variant=fixed");
	serve_some();
	assert_int_equal(open_count("/debug/pprof/fd", "create_files"), 0);
	go_to("/goto?step=0");
}

/* Both ends are this process's; who asks is one of them. */
static void await_connections(int64_t count)
{
	int64_t end_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (open_count("/debug/pprof/connections", "accept_one") != count)
		assert_true(clock_monotonic_ns() < end_ns);
}

static void a_window_has_only_what_came_in_it(void **state)
{
	struct read_profile *profile;
	struct strbuf body;
	int fd;

	(void)state;
	go_to("/goto?step=6");
	serve_some();
	fd = ask("/debug/pprof/fd?seconds=1");
	/* Who asks now is behind it on the event loop: the window has begun. */
	await_connections(2);
	serve_some();
	body = receive_body(fd);
	profile = read_profile_open(&body);
	assert_int_equal(read_profile_cumulative(profile, 0, "create_files"), FILES);
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "kind", "untracked"), 0);
	read_profile_close(profile);
	strbuf_free(&body);
	assert_int_equal(open_count("/debug/pprof/fd", "create_files"), 2 * FILES);
	go_to("/goto?step=0");
}

static void connections_are_those_of_clients(void **state)
{
	struct read_profile *profile;
	int fds[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		fds[i] = client_connect(server);
	await_connections(5);
	profile = open_profile("/debug/pprof/connections");
	assert_int_equal(read_profile_cumulative(profile, 0, "client_connect"), 5);
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "kind", "connection"),
		read_profile_total(profile, 0));
	read_profile_close(profile);
	assert_text("/debug/pprof/connections?debug=1", "connections profile: total ", true);
	assert_text("/debug/pprof/connections?debug=2", " [connection, ", true);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	await_connections(1);
}

static void nonsense_gets_a_sentence(void **state)
{
	static const char *const targets[] = {"/debug/pprof/fd?debug=3",
		"/debug/pprof/fd?seconds=301", "/debug/pprof/connections?seconds=x",
		"/debug/pprof/connections?debug=-1"};
	struct client_response response;

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		client_get(server, targets[i], &response);
		assert_int_equal(response.status, 400);
		assert_non_null(strstr(response.body, " must be a whole number from 0 to "));
	}
}

static int set_up(void **state)
{
	const struct http_pool_config workers = {"worker", 2, 8, NULL};
	const struct http_pool_config switches = {"control", 1, 8, NULL};

	(void)state;
	upstream = peer_start();
	fault_upstream_url = upstream.url;
	debug_init();
	server = plane_create(&debug);
	assert_int_equal(http_pool_create(&workers, &business), 0);
	assert_int_equal(http_pool_create(&switches, &control), 0);
	handlers_mount(server, business, control);
	return http_server_start(server);
}

static int tear_down(void **state)
{
	int err = step_switch(0, false);

	(void)state;
	peer_stop(&upstream);
	plane_stop(server, debug);
	http_pool_stop(business, 1000);
	http_pool_stop(control, 1000);
	return err;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_leak_is_named_until_its_step_is_left),
		cmocka_unit_test(the_fixed_variant_keeps_nothing),
		cmocka_unit_test(leaked_connections_are_named_with_their_threads),
		cmocka_unit_test(the_fixed_variant_of_it_keeps_one),
		cmocka_unit_test(a_window_has_only_what_came_in_it),
		cmocka_unit_test(connections_are_those_of_clients),
		cmocka_unit_test(nonsense_gets_a_sentence),
	};

	if (argc > 1 && strcmp(argv[0], PEER_NAME) == 0)
		return peer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
