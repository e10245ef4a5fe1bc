/* Answers that are sent piece by piece: when the pieces go out, and as what. */
#include "streams.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TURN_MS 10

static struct http_server *server;
static struct http_pool *pool;
static sem_t more; /* each lets one more step be written */

/* ---- handlers ---- */

/* "first" at once, "second" and then the end when the test lets it. */
static void step(struct http_job *job)
{
	if (sem_trywait(&more) < 0) {
		http_after(job, TURN_MS, step);
		return;
	}
	streams_write(job, "second");
	streams_write(job, "");
	http_stream_end(job);
}

static void on_steps(struct http_job *job)
{
	if (!streams_begin(job))
		return;
	streams_write(job, "first");
	step(job);
}

/* Everything in one turn. */
static void on_whole(struct http_job *job)
{
	if (!streams_begin(job))
		return;
	streams_write(job, "one");
	streams_write(job, "two");
	http_stream_end(job);
}

static void on_empty(struct http_job *job)
{
	if (streams_begin(job))
		http_stream_end(job);
}

/* What waits in one turn: one large piece and no more, or many small ones. */
static void on_limits(struct http_job *job)
{
	static const char piece[HTTP_STREAM_BACKLOG_BYTES + 1];
	size_t count = 0;

	if (!streams_begin(job))
		return;
	assert_int_equal(http_stream_write(job, piece, SIZE_MAX), -ENOBUFS);
	assert_int_equal(http_stream_write(job, piece, sizeof(piece)), -ENOBUFS);
	if (*http_query(job)) {
		assert_int_equal(http_stream_write(job, piece, sizeof(piece) - 1), 0);
		assert_int_equal(http_stream_write(job, piece, 1), -ENOBUFS);
	} else {
		while (count < sizeof(piece) && http_stream_write(job, piece, 1) == 0)
			count++;
		assert_in_range(count, 1000, sizeof(piece) - 1);
	}
	http_stream_end(job);
}

static void work(struct http_job *job)
{
	*(int *)http_data(job) = 42;
	http_continue(job, step);
}

static void on_work(struct http_job *job)
{
	if (!streams_begin(job))
		return;
	streams_write(job, "first");
	assert_int_equal(http_submit(job, pool, work), 0);
}

static void abort_work(struct http_job *job)
{
	http_abort(job);
}

static void on_abort(struct http_job *job)
{
	if (!streams_begin(job))
		return;
	streams_write(job, "first");
	if (*http_query(job))
		http_abort(job);
	else
		assert_int_equal(http_submit(job, pool, abort_work), 0);
}

static const struct http_route routes[] = {
	{"/steps", HTTP_GET, on_steps, NULL},
	{"/whole", HTTP_GET, on_whole, NULL},
	{"/empty", HTTP_GET, on_empty, NULL},
	{"/limits", HTTP_GET, on_limits, NULL},
	{"/work", HTTP_GET, on_work, NULL},
	{"/abort", HTTP_GET, on_abort, NULL},
	{"/inline", HTTP_GET, streams_on_inline, NULL},
};

static int start(void **state)
{
	const struct http_pool_config config = {"test", 1, 10, NULL};

	(void)state;
	streams_reset();
	sem_init(&more, 0, 0);
	if (http_pool_create(&config, &pool))
		return -1;
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 1);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 100);
	http_pool_stop(pool, 1000);
	/* All came to their end, and nobody left. */
	assert_int_equal(atomic_load(&streams_left_count), 0);
	assert_int_equal(atomic_load(&streams_freed_count), atomic_load(&streams_begun_count));
	return 0;
}

/* ---- pieces ---- */

static void test_a_piece_goes_out_before_the_next_is_written(void **state)
{
	static const char *const targets[] = {"/steps", "/work"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = client_ask(server, targets[i]);

		streams_expect_chunked(fd);
		streams_expect_text(fd, "5\r\nfirst\r\n");
		sem_post(&more);
		streams_expect_text(fd, "6\r\nsecond\r\n0\r\n\r\n");
		/* And the connection is as good as before. */
		streams_expect_inline(fd);
		close(fd);
	}
}

static void test_requests_that_wait_behind_a_stream(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	client_send(fd, "GET /whole HTTP/1.1\r\n\r\nGET /empty HTTP/1.1\r\n\r\n"
			"GET /whole HTTP/1.1\r\n\r\nGET /inline HTTP/1.1\r\n\r\n");
	streams_expect_chunked(fd);
	streams_expect_text(fd, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
	streams_expect_chunked(fd);
	streams_expect_text(fd, "0\r\n\r\n");
	streams_expect_chunked(fd);
	streams_expect_text(fd, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "ok");
	close(fd);
}

static void test_head_gets_the_head_alone(void **state)
{
	int fd = client_connect(server);

	(void)state;
	client_send(fd, "HEAD /steps HTTP/1.1\r\n\r\n");
	streams_expect_head(fd, "\r\nConnection: keep-alive\r\n");
	client_send(fd, "HEAD /whole HTTP/1.1\r\n\r\n");
	streams_expect_head(fd, "\r\nConnection: keep-alive\r\n");
	streams_expect_inline(fd);
	streams_await_count(&streams_freed_count, 2);
	close(fd);
}

/* Which knows no chunks: the body is as it is, and its end is the connection's. */
static void test_an_older_client_gets_a_close(void **state)
{
	int fd = client_connect(server);
	char rest[64];

	(void)state;
	client_send(fd, "GET /steps HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	streams_expect_head(fd, "\r\nConnection: close\r\n");
	streams_expect_text(fd, "first");
	sem_post(&more);
	streams_read_rest(fd, rest, sizeof(rest));
	assert_string_equal(rest, "second");
	close(fd);
	fd = client_connect(server);
	client_send(fd, "GET /empty HTTP/1.0\r\n\r\n");
	streams_expect_head(fd, "\r\nConnection: close\r\n");
	streams_read_rest(fd, rest, sizeof(rest));
	assert_string_equal(rest, "");
	close(fd);
}

/* By its own turn or a worker's: the connection ends, and no chunk says that it may. */
static void test_a_cut_is_seen_as_one(void **state)
{
	static const char *const requests[] = {"GET /abort HTTP/1.1\r\n\r\n",
		"GET /abort?inline HTTP/1.1\r\n\r\n", "GET /abort HTTP/1.0\r\n\r\n",
		"GET /abort?inline HTTP/1.0\r\n\r\n"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		int fd = client_connect(server);
		char rest[1024];

		client_send(fd, requests[i]);
		streams_read_rest(fd, rest, sizeof(rest));
		assert_null(strstr(rest, "\r\n0\r\n"));
		streams_await_count(&streams_freed_count, i + 1);
		close(fd);
	}
}

static void test_a_backlog_has_its_bounds(void **state)
{
	static char piece[HTTP_STREAM_BACKLOG_BYTES];
	int fd = client_connect(server);

	(void)state;
	client_send(fd, "GET /limits?large HTTP/1.1\r\n\r\n");
	streams_expect_chunked(fd);
	assert_int_equal(streams_expect_chunk(fd), sizeof(piece));
	streams_expect_bytes(fd, piece, sizeof(piece));
	streams_expect_text(fd, "\r\n0\r\n\r\n");
	client_send(fd, "GET /limits HTTP/1.1\r\n\r\n");
	streams_expect_chunked(fd);
	while (streams_expect_chunk(fd))
		streams_expect_bytes(fd, piece, sizeof("x\r\n") - 1);
	streams_expect_text(fd, "\r\n");
	streams_expect_inline(fd);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_piece_goes_out_before_the_next_is_written),
		TEST(test_requests_that_wait_behind_a_stream),
		TEST(test_head_gets_the_head_alone),
		TEST(test_an_older_client_gets_a_close),
		TEST(test_a_cut_is_seen_as_one),
		TEST(test_a_backlog_has_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
