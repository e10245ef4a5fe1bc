/* Streams that are not read, or not to their end: nobody else is disturbed, and nothing is kept. */
#include "streams.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define MANY_COUNT 1000
#define STOPPED_COUNT 100
#define STOP_MS 500
#define TURN_MS 10
#define PIECE_BYTES (16 * 1024)

static struct http_server *server;
static sem_t more; /* lets a flood end */
static sem_t stalled;
static atomic_size_t taken_bytes;

/* ---- handlers ---- */

static void on_rest(struct http_job *job)
{
	if (!streams_begin(job))
		return;
	streams_write(job, "first");
	http_stream_rest(job);
}

static void wait_a_minute(struct http_job *job)
{
	http_after(job, 60000, http_stream_end);
}

static void on_minute(struct http_job *job)
{
	if (streams_begin(job))
		wait_a_minute(job);
}

static void tick(struct http_job *job)
{
	streams_write(job, "t");
	http_after(job, TURN_MS, tick);
}

static void on_ticks(struct http_job *job)
{
	if (streams_begin(job))
		tick(job);
}

/* As much as is taken, again and again; each 4 bytes say where they are. */
static void flood(struct http_job *job)
{
	static _Thread_local uint32_t piece[PIECE_BYTES / 4];
	int *at = http_data(job);
	bool any = false;

	for (;;) {
		for (size_t i = 0; i < PIECE_BYTES / 4; i++)
			piece[i] = *at + i;
		if (http_stream_write(job, piece, sizeof(piece)) == -ENOBUFS)
			break;
		any = true;
		*at += PIECE_BYTES / 4;
		atomic_fetch_add(&taken_bytes, sizeof(piece));
	}
	if (!any)
		sem_post(&stalled);
	if (sem_trywait(&more) == 0)
		http_stream_end(job);
	else
		http_after(job, TURN_MS, flood);
}

static void on_flood(struct http_job *job)
{
	if (streams_begin(job))
		flood(job);
}

static const struct http_route routes[] = {
	{"/rest", HTTP_GET, on_rest, NULL},
	{"/minute", HTTP_GET, on_minute, NULL},
	{"/ticks", HTTP_GET, on_ticks, NULL},
	{"/flood", HTTP_GET, on_flood, NULL},
	{"/inline", HTTP_GET, streams_on_inline, NULL},
};

static int start(void **state)
{
	(void)state;
	streams_reset();
	sem_init(&more, 0, 0);
	sem_init(&stalled, 0, 0);
	atomic_store(&taken_bytes, 0);
	/* One loop: whoever disturbs it disturbs all. */
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 1);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	if (server)
		http_server_stop(server, 100);
	assert_int_equal(http_connection_count(), 0);
	assert_int_equal(atomic_load(&streams_freed_count), atomic_load(&streams_begun_count));
	return 0;
}

/* ---- slow readers ---- */

/* Returns how many bytes there were, each in its place. */
static size_t read_flood(int fd)
{
	static uint32_t chunk[PIECE_BYTES / 4];
	size_t total = 0, now;

	for (; (now = streams_expect_chunk(fd)); total += now) {
		assert_true(now <= sizeof(chunk));
		streams_expect_bytes(fd, chunk, now);
		for (size_t i = 0; i < now / 4; i++)
			if (chunk[i] != total / 4 + i)
				fail_msg("not in its place: byte %zu", total + i * 4);
		streams_expect_text(fd, "\r\n");
	}
	streams_expect_text(fd, "\r\n");
	return total;
}

static void test_a_slow_reader_fills_its_backlog_and_nobody_elses(void **state)
{
	int slow = client_ask(server, "/flood"), other;
	size_t stalled_bytes;

	(void)state;
	streams_expect_chunked(slow);
	/* It is full, and stays so: the kernel takes no more either. */
	for (int i = 0; i < 20; i++)
		client_await(&stalled);
	stalled_bytes = atomic_load(&taken_bytes);
	other = client_ask(server, "/rest");
	streams_expect_chunked(other);
	streams_expect_text(other, "5\r\nfirst\r\n");
	close(other);
	other = client_connect(server);
	for (int i = 0; i < 20; i++) {
		streams_expect_inline(other);
		client_await(&stalled);
	}
	assert_int_equal(atomic_load(&taken_bytes), stalled_bytes);
	close(other);
	/* Nothing was lost, and there is room again. */
	sem_post(&more);
	assert_true(read_flood(slow) >= stalled_bytes);
	streams_expect_inline(slow);
	close(slow);
}

/* ---- clients that leave ---- */

static void reset(int fd)
{
	struct linger at_once = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

static void test_a_client_may_leave_in_the_middle(void **state)
{
	static const char *const targets[] = {"/rest", "/minute", "/ticks", "/flood"};
	size_t fds = client_open_fds();
	int seen = 0;

	(void)state;
	for (int i = 0; i < 16; i++) {
		int fd = client_connect(server);

		client_send(fd, "GET ");
		client_send(fd, targets[i % 4]);
		client_send(fd, i & 4 ? " HTTP/1.0\r\n\r\n" : " HTTP/1.1\r\n\r\n");
		streams_expect_head(fd, "\r\nConnection: ");
		if (i % 4 == 3)
			client_await(&stalled);
		if (i & 8)
			reset(fd);
		else
			close(fd);
		client_await(&streams_left);
		streams_await_count(&streams_freed_count, ++seen);
		client_await_fds(fds);
	}
	assert_int_equal(atomic_load(&streams_left_count), 16);
}

static void test_a_thousand_streams(void **state)
{
	static int fds[MANY_COUNT];
	size_t before = client_open_fds();

	(void)state;
	for (int i = 0; i < MANY_COUNT; i++)
		fds[i] = client_ask(server, "/rest");
	for (int i = 0; i < MANY_COUNT; i++) {
		streams_expect_chunked(fds[i]);
		streams_expect_text(fds[i], "5\r\nfirst\r\n");
	}
	assert_int_equal(http_connection_count(), MANY_COUNT);
	streams_expect_inline(client_connect(server));
	for (int i = 0; i < MANY_COUNT; i++)
		close(fds[i]);
	streams_await_count(&streams_left_count, MANY_COUNT);
	/* The inline one's stays, at both ends. */
	client_await_fds(before + 2);
	assert_int_equal(atomic_load(&streams_freed_count), MANY_COUNT);
}

/* ---- the server's end ---- */

static void test_stop_with_open_streams(void **state)
{
	static const char *const targets[] = {"/rest", "/minute", "/ticks", "/flood"};
	static char rest[16 * 1024 * 1024];
	int fds[STOPPED_COUNT], value = 1;
	int64_t start_ns;

	(void)state;
	for (int i = 0; i < STOPPED_COUNT; i++) {
		fds[i] = client_ask(server, targets[i % 4]);
		streams_expect_chunked(fds[i]);
	}
	/* One has ended, and nobody reads it. */
	sem_post(&more);
	while (value)
		assert_int_equal(sem_getvalue(&more, &value), 0);
	start_ns = clock_monotonic_ns();
	http_server_stop(server, STOP_MS);
	server = NULL;
	assert_in_range((clock_monotonic_ns() - start_ns) / CLOCK_NS_PER_MS, 0, STOP_MS + 1000);
	assert_int_equal(http_connection_count(), 0);
	assert_int_equal(atomic_load(&streams_left_count), STOPPED_COUNT - 1);
	assert_int_equal(atomic_load(&streams_freed_count), STOPPED_COUNT);
	for (int i = 0; i < STOPPED_COUNT; i++) {
		streams_read_rest(fds[i], rest, sizeof(rest));
		assert_null(strstr(rest, "\r\n0\r\n"));
		close(fds[i]);
	}
}

/* What could not end in that time anyway is not waited for. */
static void test_stop_does_not_wait_for_a_rest(void **state)
{
	int rest = client_ask(server, "/rest"), minute = client_ask(server, "/minute");
	int64_t start_ns;

	(void)state;
	streams_expect_chunked(rest);
	streams_expect_chunked(minute);
	start_ns = clock_monotonic_ns();
	http_server_stop(server, CLIENT_WAIT_MS);
	server = NULL;
	assert_in_range((clock_monotonic_ns() - start_ns) / CLOCK_NS_PER_MS, 0, 1000);
	close(rest);
	close(minute);
}

static int raise_limit(void **state)
{
	struct rlimit limit;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_slow_reader_fills_its_backlog_and_nobody_elses),
		TEST(test_a_client_may_leave_in_the_middle),
		TEST(test_a_thousand_streams),
		TEST(test_stop_with_open_streams),
		TEST(test_stop_does_not_wait_for_a_rest),
	};

	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
