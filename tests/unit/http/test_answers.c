/* Answers are counted, each once, whatever becomes of the request. */
#include "client.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

static struct http_server *server;
static struct http_pool *pool;

static void answer_404(struct http_job *job)
{
	http_reply_text(job, 404, "no");
}

static void abort_it(struct http_job *job)
{
	http_abort(job);
}

static void wait_for_ever(struct http_job *job)
{
	http_after(job, 1000 * 1000, answer_404);
}

static void answer_500(struct http_job *job)
{
	http_reply_text(job, 500, "no");
}

static void stream_for_ever(struct http_job *job)
{
	if (http_stream_begin(job, 200, "text/plain"))
		http_stream_rest(job);
}

static void submit(struct http_job *job)
{
	assert_int_equal(http_submit(job, pool, http_context(job)), 0);
}

static const struct http_route routes[] = {
	{"/404", HTTP_GET, answer_404, NULL},
	{"/tree/*", HTTP_GET, answer_404, NULL},
	{"/two", HTTP_GET, answer_404, NULL},
	{"/two", HTTP_POST, answer_500, NULL},
	{"/abort", HTTP_GET, abort_it, NULL},
	{"/stream", HTTP_GET, stream_for_ever, NULL},
	{"/wait", HTTP_GET, wait_for_ever, NULL},
	{"/worker/500", HTTP_GET, submit, answer_500},
	{"/worker/abort", HTTP_GET, submit, abort_it},
};

struct wanted {
	const char *path;
	uint64_t counts[HTTP_STATUS_CLASSES];
	int seen_count;
};

static void visit(const char *path, const uint64_t counts[HTTP_STATUS_CLASSES], void *context)
{
	struct wanted *wanted = context;

	if (strcmp(path, wanted->path) != 0)
		return;
	wanted->seen_count++;
	memcpy(wanted->counts, counts, sizeof(wanted->counts));
}

static uint64_t count_of(const char *path, int class)
{
	struct wanted wanted = {.path = path};

	http_answers_for_each(visit, &wanted);
	assert_int_equal(wanted.seen_count, 1);
	return wanted.counts[class];
}

/* Asks for TARGET: of PATH, the count of CLASS and no other grows by one. */
static void assert_counted(const char *target, const char *path, int class)
{
	struct wanted before = {.path = path}, after = {.path = path};
	struct client_response response;

	http_answers_for_each(visit, &before);
	client_get(server, target, &response);
	http_answers_for_each(visit, &after);
	before.counts[class]++;
	assert_memory_equal(after.counts, before.counts, sizeof(before.counts));
}

static void counts_by_route_and_hundred(void **state)
{
	(void)state;
	assert_counted("/404", "/404", 4);
	assert_counted("/tree/a", "/tree/*", 4);
	assert_counted("/tree/b/c?d", "/tree/*", 4);
	assert_counted("/worker/500", "/worker/500", 5);
	assert_int_equal(count_of("/tree/*", 4), 2);
}

static void counts_what_is_cut(void **state)
{
	(void)state;
	assert_counted("/abort", "/abort", 0);
	assert_counted("/worker/abort", "/worker/abort", 0);
}

static void await_no_connection(void)
{
	int64_t end_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (http_connection_count() > 0) {
		assert_true(clock_monotonic_ns() < end_ns);
		poll(NULL, 0, 5);
	}
}

static void counts_a_client_that_left(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	(void)state;
	close(client_ask(server, "/wait"));
	while (count_of("/wait", 0) == 0) {
		assert_true(clock_monotonic_ns() < end_ns);
		poll(NULL, 0, 5);
	}
	await_no_connection();
	assert_int_equal(count_of("/wait", 0), 1);
}

/* Once, though its client leaves in the middle of it. */
static void counts_a_stream_that_has_begun(void **state)
{
	char first[13];
	int fd;

	(void)state;
	await_no_connection();
	fd = client_ask(server, "/stream");
	assert_int_equal(recv(fd, first, sizeof(first), MSG_WAITALL), sizeof(first));
	assert_memory_equal(first, "HTTP/1.1 200 ", sizeof(first));
	assert_int_equal(count_of("/stream", 2), 1);
	close(fd);
	await_no_connection();
	assert_int_equal(count_of("/stream", 2), 1);
	assert_int_equal(count_of("/stream", 0), 0);
}

static void counts_what_is_refused(void **state)
{
	(void)state;
	assert_counted("/nowhere", "unknown", 4);
	assert_counted("/404%00", "unknown", 4);
}

/* Two routes of one path, and two servers, share its counts. */
static void a_path_is_counted_once(void **state)
{
	struct http_server *other;
	struct client_response response;
	uint64_t before = count_of("/two", 4);

	(void)state;
	other = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 1);
	client_get(other, "/two", &response);
	http_server_stop(other, 1000);
	assert_counted("/two", "/two", 4);
	assert_int_equal(count_of("/two", 4), before + 2);
}

static int start(void **state)
{
	const struct http_pool_config config = {"worker", 1, 8, NULL};

	(void)state;
	assert_int_equal(http_pool_create(&config, &pool), 0);
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 1000);
	http_pool_stop(pool, 1000);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_by_route_and_hundred),
		cmocka_unit_test(counts_what_is_cut),
		cmocka_unit_test(counts_a_client_that_left),
		cmocka_unit_test(counts_a_stream_that_has_begun),
		cmocka_unit_test(counts_what_is_refused),
		cmocka_unit_test(a_path_is_counted_once),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
