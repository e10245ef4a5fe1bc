/* What a watcher is told of connections and requests, and in which order. */
#include "client.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/strbuf.h"

static struct http_server *server;
static struct http_pool *pool;

/* ---- what was told, as text: "accept1 request1 of 1 turn1{ answer1=200 turn1} end1 " ---- */

static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t told_more = PTHREAD_COND_INITIALIZER;
static struct strbuf on_loop, on_worker;
static uint64_t last_connection, last_mark;
static __thread bool is_loop; /* it has accepted */

/* NUMBER -1: none. */
static void tell(const char *what, uint64_t mark, const char *rest, int number)
{
	struct strbuf *told = is_loop ? &on_loop : &on_worker;

	pthread_mutex_lock(&told_lock);
	strbuf_printf(told, "%s%llu%s", what, (unsigned long long)mark, rest);
	if (number >= 0)
		strbuf_printf(told, "%d", number);
	strbuf_puts(told, " ");
	pthread_cond_broadcast(&told_more);
	pthread_mutex_unlock(&told_lock);
}

static uint64_t on_accept(void)
{
	uint64_t mark;

	pthread_mutex_lock(&told_lock);
	mark = ++last_connection;
	pthread_mutex_unlock(&told_lock);
	is_loop = true;
	tell("accept", mark, "", -1);
	return mark;
}

static uint64_t on_request(const struct http_job *job, uint64_t connection)
{
	uint64_t mark;

	assert_int_equal(http_mark(job), 0);
	assert_string_equal(http_path(job), http_route_path(job));
	pthread_mutex_lock(&told_lock);
	mark = ++last_mark;
	pthread_mutex_unlock(&told_lock);
	tell("request", mark, " of ", (int)connection);
	return mark;
}

static void on_turn_begin(const struct http_job *job, uint64_t mark)
{
	assert_int_equal(http_mark(job), mark);
	tell("turn", mark, "{", -1);
}

static void on_turn_end(uint64_t mark)
{
	tell("turn", mark, "}", -1);
}

static void on_answer(uint64_t mark, int status)
{
	tell("answer", mark, "=", status);
}

static void on_request_end(uint64_t mark)
{
	tell("end", mark, "", -1);
}

static const struct http_watcher watcher = {
	on_accept, on_request, on_turn_begin, on_turn_end, on_answer, on_request_end};

static bool was_told(const struct strbuf *told, const char *part)
{
	return told->data && strstr(told->data, part);
}

static void await_told(const struct strbuf *told, const char *part)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CLIENT_WAIT_MS / 1000;
	pthread_mutex_lock(&told_lock);
	while (!err && !was_told(told, part))
		err = pthread_cond_timedwait(&told_more, &told_lock, &until);
	pthread_mutex_unlock(&told_lock);
	if (err)
		fail_msg("no \"%s\" in \"%s\"", part, told->data ? told->data : "");
}

/* That was all since the last time. */
static void assert_told(struct strbuf *told, const char *text)
{
	pthread_mutex_lock(&told_lock);
	assert_string_equal(told->data ? told->data : "", text);
	strbuf_free(told);
	pthread_mutex_unlock(&told_lock);
}

/* ---- the server ---- */

static sem_t working, resume;

static void answer(struct http_job *job)
{
	http_reply(job, 200, "text/plain", "ok", 2);
}

static void wait_shortly(struct http_job *job)
{
	http_after(job, 1, answer);
}

static void wait_long(struct http_job *job)
{
	http_after(job, 60000, answer);
}

static void cut(struct http_job *job)
{
	http_abort(job);
}

static void work(struct http_job *job)
{
	sem_post(&working);
	client_await(&resume);
	http_reply_text(job, 503, "Not now");
}

static void submit(struct http_job *job)
{
	assert_int_equal(http_submit(job, pool, work), 0);
}

static void continue_work(struct http_job *job)
{
	http_continue(job, answer);
}

static void submit_and_continue(struct http_job *job)
{
	assert_int_equal(http_submit(job, pool, continue_work), 0);
}

static void stream(struct http_job *job)
{
	if (!http_stream_begin(job, 200, "text/plain"))
		return;
	if (strcmp(http_query(job), "rest") == 0)
		http_stream_rest(job);
	else if (strcmp(http_query(job), "cut") == 0)
		http_abort(job);
	else
		http_after(job, 1, http_stream_end);
}

static const struct http_route routes[] = {
	{"/stream", HTTP_GET, stream, NULL},
	{"/inline", HTTP_GET, answer, NULL},
	{"/timed", HTTP_GET, wait_shortly, NULL},
	{"/long", HTTP_GET, wait_long, NULL},
	{"/cut", HTTP_GET, cut, NULL},
	{"/pooled", HTTP_GET, submit, NULL},
	{"/continued", HTTP_GET, submit_and_continue, NULL},
};

static int start(void **state)
{
	const struct http_pool_config config = {"test", 1, 10, NULL};

	(void)state;
	sem_init(&working, 0, 0);
	sem_init(&resume, 0, 0);
	last_connection = last_mark = 0;
	if (http_pool_create(&config, &pool))
		return -1;
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 1);
	http_watch(&watcher);
	return 0;
}

static void await_connections(unsigned count)
{
	int64_t until_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (http_connection_count() != count) {
		assert_true(clock_monotonic_ns() < until_ns);
		usleep(1000);
	}
}

static int stop(void **state)
{
	(void)state;
	http_watch(NULL);
	http_server_stop(server, 100);
	http_pool_stop(pool, 1000);
	assert_int_equal(http_connection_count(), 0);
	strbuf_free(&on_loop);
	strbuf_free(&on_worker);
	return 0;
}

static void ask_again(int fd, const char *target, int status)
{
	struct client_response response;
	char request[128];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	client_send(fd, request);
	client_receive(fd, false, &response);
	assert_int_equal(response.status, status);
}

/* ---- requests of each kind ---- */

static void test_an_inline_answer_is_one_turn(void **state)
{
	int fd = client_connect(server);

	(void)state;
	ask_again(fd, "/inline", 200);
	await_told(&on_loop, "end1");
	assert_told(&on_loop, "accept1 request1 of 1 turn1{ answer1=200 turn1} end1 ");
	/* The connection is the first request's alone. */
	ask_again(fd, "/inline", 200);
	await_told(&on_loop, "end2");
	assert_told(&on_loop, "request2 of 0 turn2{ answer2=200 turn2} end2 ");
	/* What no route takes is no job. */
	ask_again(fd, "/nowhere", 404);
	ask_again(fd, "/inline", 200);
	await_told(&on_loop, "end3");
	assert_told(&on_loop, "request3 of 0 turn3{ answer3=200 turn3} end3 ");
	close(fd);
}

static void test_turns_come_one_after_the_other(void **state)
{
	int fd = client_connect(server);

	(void)state;
	ask_again(fd, "/timed", 200);
	await_told(&on_loop, "end1");
	assert_told(
		&on_loop, "accept1 request1 of 1 turn1{ turn1} turn1{ answer1=200 turn1} end1 ");
	ask_again(fd, "/continued", 200);
	await_told(&on_loop, "end2");
	assert_told(&on_loop, "request2 of 0 turn2{ turn2} turn2{ answer2=200 turn2} end2 ");
	assert_told(&on_worker, "turn2{ turn2} ");
	close(fd);
}

static void test_a_workers_turn_is_its_own(void **state)
{
	struct client_response response;
	int fd = client_ask(server, "/pooled");

	(void)state;
	client_await(&working);
	await_told(&on_loop, "turn1}");
	assert_told(&on_loop, "accept1 request1 of 1 turn1{ turn1} ");
	assert_told(&on_worker, "turn1{ ");
	sem_post(&resume);
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 503);
	await_told(&on_loop, "end1");
	assert_told(&on_loop, "answer1=503 end1 ");
	await_told(&on_worker, "turn1}");
	assert_told(&on_worker, "turn1} ");
	close(fd);
}

static void test_a_client_that_leaves_gets_no_answer(void **state)
{
	int fd = client_ask(server, "/long");

	(void)state;
	await_told(&on_loop, "turn1}");
	close(fd);
	await_told(&on_loop, "end1");
	assert_told(&on_loop, "accept1 request1 of 1 turn1{ turn1} end1 ");
	/* While a worker has it. */
	fd = client_ask(server, "/pooled");
	client_await(&working);
	close(fd);
	await_told(&on_loop, "end2");
	assert_told(&on_loop, "accept2 request2 of 2 turn2{ turn2} end2 ");
	sem_post(&resume);
	await_told(&on_worker, "turn2}");
	assert_told(&on_worker, "turn2{ turn2} ");
	assert_told(&on_loop, "");
}

static void test_a_connection_that_is_cut_has_status_0(void **state)
{
	struct client_response response;

	(void)state;
	client_get(server, "/cut", &response);
	assert_int_equal(response.status, 0);
	await_told(&on_loop, "end1");
	assert_told(&on_loop, "accept1 request1 of 1 turn1{ answer1=0 turn1} end1 ");
}

/* However its end comes, the answer was one. */
static void test_a_stream_is_answered_as_it_begins(void **state)
{
	static const char *const requests[] = {"GET /stream HTTP/1.0\r\n\r\n",
		"GET /stream?rest HTTP/1.0\r\n\r\n", "GET /stream?cut HTTP/1.1\r\n\r\n",
		"HEAD /stream HTTP/1.1\r\n\r\n"};
	static const char *const later[] = {"turn1{ turn1} ", "", "", ""};

	(void)state;
	for (int i = 0; i < 4; i++) {
		char all[256];
		int fd;

		last_connection = last_mark = 0;
		fd = client_connect(server);
		client_send(fd, requests[i]);
		await_told(&on_loop, i == 0 ? "} turn1{ turn1}" : "turn1}");
		close(fd);
		await_told(&on_loop, "end1");
		snprintf(all, sizeof(all),
			"accept1 request1 of 1 turn1{ answer1=200 turn1} %send1 ", later[i]);
		assert_told(&on_loop, all);
	}
}

/* ---- who comes and goes ---- */

static void test_a_watcher_may_come_in_the_midst(void **state)
{
	struct client_response response;
	int fd, timed;

	(void)state;
	http_watch(NULL);
	fd = client_ask(server, "/pooled");
	client_await(&working);
	http_watch(&watcher);
	timed = client_ask(server, "/inline");
	client_receive(timed, false, &response);
	await_told(&on_loop, "end1");
	assert_told(&on_loop, "accept1 request1 of 1 turn1{ answer1=200 turn1} end1 ");
	/* Of the one before, the mark is 0. */
	sem_post(&resume);
	client_receive(fd, false, &response);
	await_told(&on_loop, "end0");
	assert_told(&on_loop, "answer0=503 end0 ");
	close(fd);
	close(timed);
}

static void test_a_watcher_may_go_in_the_midst(void **state)
{
	struct client_response response;
	int fd = client_ask(server, "/pooled");

	(void)state;
	client_await(&working);
	await_told(&on_loop, "turn1}");
	http_watch(NULL);
	sem_post(&resume);
	client_receive(fd, false, &response);
	/* Who was told of a turn's beginning is told of its end. */
	await_told(&on_worker, "turn1}");
	assert_told(&on_worker, "turn1{ turn1} ");
	assert_told(&on_loop, "accept1 request1 of 1 turn1{ turn1} ");
	close(fd);
	client_get(server, "/inline", &response);
	assert_told(&on_loop, "");
}

static void test_connections_are_counted(void **state)
{
	int fds[20];

	(void)state;
	await_connections(0);
	/* Also while nobody watches. */
	for (int i = 0; i < 20; i++) {
		http_watch(i % 2 ? &watcher : NULL);
		fds[i] = client_connect(server);
		if (i % 3)
			ask_again(fds[i], "/inline", 200);
	}
	await_connections(20);
	for (int i = 0; i < 20; i++) {
		if (i % 4 == 0)
			setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
				sizeof(struct linger));
		close(fds[i]);
	}
	await_connections(0);
	/* What is open when the server stops is counted off, too (in stop()). */
	fds[0] = client_connect(server);
	await_connections(1);
	fds[1] = client_ask(server, "/long");
	await_connections(2);
	http_server_stop(server, 100);
	assert_int_equal(http_connection_count(), 0);
	close(fds[0]);
	close(fds[1]);
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_inline_answer_is_one_turn),
		TEST(test_turns_come_one_after_the_other),
		TEST(test_a_workers_turn_is_its_own),
		TEST(test_a_client_that_leaves_gets_no_answer),
		TEST(test_a_connection_that_is_cut_has_status_0),
		TEST(test_a_stream_is_answered_as_it_begins),
		TEST(test_a_watcher_may_come_in_the_midst),
		TEST(test_a_watcher_may_go_in_the_midst),
		TEST(test_connections_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
