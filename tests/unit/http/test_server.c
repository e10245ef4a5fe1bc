#include "client.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

static struct http_server *server;

static void hello(struct http_job *job)
{
	http_reply(job, 200, "text/plain", "hello world", 11);
}

static void describe(struct http_job *job)
{
	size_t body_bytes;
	const char *body = http_body(job, &body_bytes);

	http_header(job, "X-Fault", "none");
	http_reply_text(job, 202, "%d %s?%s body %zu %.8s context %s peer %.10s", http_method(job),
		http_path(job), http_query(job), body_bytes, body, (char *)http_context(job),
		http_peer(job));
}

static void subtree(struct http_job *job)
{
	http_reply_text(job, 200, "subtree %s", (char *)http_context(job));
}

static const struct http_route routes[] = {
	{"/", HTTP_GET, hello, NULL},
	{"/describe", HTTP_GET | HTTP_POST, describe, "mine"},
	{"/tree/*", HTTP_GET, subtree, "outer"},
	{"/tree/inner/*", HTTP_GET, subtree, "inner"},
	{"/tree/inner/leaf", HTTP_GET, subtree, "leaf"},
	{"/two", HTTP_GET, subtree, "get"},
	{"/two", HTTP_POST, subtree, "post"},
};

static int start(void **state)
{
	(void)state;
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 1000);
	return 0;
}

static void keeps_connections_alive(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	for (int i = 0; i < 3; i++) {
		client_send(fd, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
		client_receive(fd, false, &response);
		assert_int_equal(response.status, 200);
		assert_string_equal(response.body, "hello world");
		assert_non_null(strstr(response.head, "\r\nServer: test\r\n"));
		assert_non_null(strstr(response.head, "\r\nContent-Type: text/plain\r\n"));
	}
	client_send(fd, "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 200);
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 0);
	close(fd);
}

static void answers_pipelined_requests_in_order(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	client_send(fd, "GET /tree/a HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "subtree outer\n");
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "hello world");
	close(fd);
}

static void shows_handlers_the_request(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	client_send(fd, "POST /%64escribe?a=%41 HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 202);
	assert_string_equal(
		response.body, "4 /describe?a=%41 body 4 body context mine peer 127.0.0.1:\n");
	assert_non_null(strstr(response.head, "\r\nX-Fault: none\r\n"));
	client_send(fd, "POST /describe HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
			"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	client_receive(fd, false, &response);
	assert_string_equal(
		response.body, "4 /describe? body 5 abcde context mine peer 127.0.0.1:\n");
	close(fd);
}

static void answers_head_without_a_body(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	client_send(fd, "HEAD / HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n");
	client_receive(fd, true, &response);
	assert_int_equal(response.status, 200);
	assert_non_null(strstr(response.head, "\r\nContent-Length: 11\r\n"));
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "subtree get\n");
	close(fd);
}

static void chooses_the_longest_route(void **state)
{
	static const struct {
		const char *target, *context;
	} cases[] = {
		{"/tree/", "outer"},
		{"/tree/x/y", "outer"},
		{"/tree/inner", "outer"},
		{"/tree/inner/", "inner"},
		{"/tree/inner/leaf", "leaf"},
		{"/tree/inner/leaf/", "inner"},
		{"/tree/inner/../x", "outer"},
	};
	struct client_response response;
	char expected[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		client_get(server, cases[i].target, &response);
		snprintf(expected, sizeof(expected), "subtree %s\n", cases[i].context);
		assert_string_equal(response.body, expected);
	}
}

static void expect_refusal(const char *request, int status, const char *in_head)
{
	struct client_response response;
	int fd = client_connect(server);

	client_send(fd, request);
	client_receive(fd, false, &response);
	assert_int_equal(response.status, status);
	assert_non_null(strstr(response.head, "text/plain"));
	assert_true(response.body_len_bytes > 10);
	if (in_head)
		assert_non_null(strstr(response.head, in_head));
	close(fd);
}

static void refuses_what_it_does_not_serve(void **state)
{
	(void)state;
	expect_refusal("GET /nowhere HTTP/1.1\r\n\r\n", 404, NULL);
	expect_refusal("GET /tree HTTP/1.1\r\n\r\n", 404, NULL);
	expect_refusal("PUT / HTTP/1.1\r\n\r\n", 405, "\r\nAllow: GET, HEAD\r\n");
	expect_refusal("DELETE /two HTTP/1.1\r\n\r\n", 405, "\r\nAllow: GET, HEAD, POST\r\n");
	expect_refusal("GET /%00 HTTP/1.1\r\n\r\n", 400, NULL);
	expect_refusal("GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400, NULL);
	expect_refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, NULL);
}

/* A request of LEN_BYTES 'a' between BEFORE and AFTER. */
static void send_long(int fd, const char *before, size_t len_bytes, const char *after)
{
	char *filler = malloc(len_bytes);

	memset(filler, 'a', len_bytes);
	client_send(fd, before);
	client_send_bytes(fd, filler, len_bytes);
	client_send(fd, after);
	free(filler);
}

static void limits_the_query(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	send_long(fd, "GET /two?", HTTP_QUERY_MAX_BYTES, " HTTP/1.1\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 200);
	send_long(fd, "GET /two?", HTTP_QUERY_MAX_BYTES + 1, " HTTP/1.1\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 414);
	send_long(fd, "GET /", 100000, " HTTP/1.1\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 414);
	close(fd);
}

static void post_bytes(int fd, size_t len_bytes, struct client_response *response)
{
	char head[128];

	snprintf(head, sizeof(head), "POST /describe HTTP/1.1\r\nContent-Length: %zu\r\n\r\n",
		len_bytes);
	send_long(fd, head, len_bytes, "");
	client_receive(fd, false, response);
}

static void limits_the_body(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	post_bytes(fd, HTTP_BODY_MAX_BYTES, &response);
	assert_int_equal(response.status, 202);
	assert_non_null(strstr(response.body, "body 65536 aaaaaaaa"));
	post_bytes(fd, HTTP_BODY_MAX_BYTES + 1, &response);
	assert_int_equal(response.status, 413);
	post_bytes(fd, 4, &response);
	assert_int_equal(response.status, 202);
	client_send(fd, "POST /describe HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 413);
	close(fd);
}

static void refuses_malformed_addresses(void **state)
{
	static const char *const malformed[] = {"", ":", "6060", "127.0.0.1", ":65536", ":-1",
		":-0", ":1x", ":000000", "localhost:1", "::1:80", "[::1:80", "[]:1", "256.0.0.1:1",
		" :1"};
	struct http_server_config config = {NULL, 1, "test"};
	struct http_server *unused;

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		config.listen = malformed[i];
		assert_int_equal(http_server_create(&config, &unused), -EINVAL);
	}
}

static void reports_a_taken_port(void **state)
{
	struct http_server_config config = {NULL, 1, "test"};
	struct http_server *unused;
	char listen[32];

	(void)state;
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", http_server_port(server));
	config.listen = listen;
	assert_int_equal(http_server_create(&config, &unused), -EADDRINUSE);
}

static sem_t hanging, resume;

static void hang(struct http_job *job)
{
	sem_post(&hanging);
	client_await(&resume);
	http_reply_text(job, 200, "late");
}

static void leaves_a_loop_behind_that_hangs(void **state)
{
	static const struct http_route route = {"/", HTTP_GET, hang, NULL};
	size_t fds = client_open_fds();
	struct http_server *hung = client_serve(&route, 1, 2);
	int64_t begin_ns;
	int fd;

	(void)state;
	sem_init(&hanging, 0, 0);
	sem_init(&resume, 0, 0);
	fd = client_ask(hung, "/");
	client_await(&hanging);
	begin_ns = clock_monotonic_ns();
	http_server_stop(hung, 100);
	assert_true(clock_monotonic_ns() - begin_ns < CLOCK_NS_PER_SEC);
	/* It comes back, finds what it was given, and ends; h2o keeps one descriptor of each loop. */
	sem_post(&resume);
	close(fd);
	client_await_fds(fds + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_connections_alive),
		cmocka_unit_test(answers_pipelined_requests_in_order),
		cmocka_unit_test(shows_handlers_the_request),
		cmocka_unit_test(answers_head_without_a_body),
		cmocka_unit_test(chooses_the_longest_route),
		cmocka_unit_test(refuses_what_it_does_not_serve),
		cmocka_unit_test(limits_the_query),
		cmocka_unit_test(limits_the_body),
		cmocka_unit_test(refuses_malformed_addresses),
		cmocka_unit_test(reports_a_taken_port),
		cmocka_unit_test(leaves_a_loop_behind_that_hangs),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
