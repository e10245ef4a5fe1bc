/*
 * What a job can do: wait on a timer, go to a worker, abort, be dropped; and how the server ends
 * around it.
 */
#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

static struct http_server *server;
static struct http_pool *pool;
static sem_t working; /* posted by work that began */
static sem_t resume;  /* waited for by work that blocks */
static atomic_int freed_count, data_count;

static void free_data(void *data)
{
	atomic_fetch_add(&freed_count, 1);
	free(data);
}

static void give_data(struct http_job *job)
{
	char *data = strdup("data");

	atomic_fetch_add(&data_count, 1);
	http_set_data(job, data, free_data);
}

static void submit(struct http_job *job, http_work *work)
{
	give_data(job);
	http_submit_or_refuse(job, pool, work);
}

static void work_text(struct http_job *job)
{
	char name[16];

	pthread_getname_np(pthread_self(), name, sizeof(name));
	http_header(job, "X-Thread", "worker");
	http_reply_text(job, 200, "%s %s %s", name, (char *)http_data(job), http_query(job));
}

static void on_text(struct http_job *job)
{
	submit(job, work_text);
}

static void work_strbuf(struct http_job *job)
{
	struct strbuf body = STRBUF_INIT;

	strbuf_puts(&body, "from a worker");
	http_reply_strbuf(job, 200, "text/plain", &body);
	assert_null(body.data);
}

static void on_strbuf(struct http_job *job)
{
	if (*http_query(job))
		work_strbuf(job);
	else
		submit(job, work_strbuf);
}

static void work_blocked(struct http_job *job)
{
	sem_post(&working);
	while (sem_wait(&resume))
		;
	http_reply(job, 200, "text/plain", "resumed", 7);
}

static void on_blocked(struct http_job *job)
{
	submit(job, work_blocked);
}

static void work_abort(struct http_job *job)
{
	http_abort(job);
}

static void on_abort(struct http_job *job)
{
	if (*http_query(job))
		http_abort(job);
	else
		submit(job, work_abort);
}

static void on_timer(struct http_job *job)
{
	char *turns = http_data(job);

	if (--*turns)
		http_after(job, 30, on_timer);
	else
		http_reply(job, 200, "text/plain", "timer", 5);
}

static void on_after(struct http_job *job)
{
	give_data(job);
	*(char *)http_data(job) = 5;
	on_timer(job);
}

static void on_continued(struct http_job *job)
{
	/* On the loop again, and free to go anywhere from here. */
	if (http_data(job))
		http_reply_text(job, 200, "continued %s", (char *)http_data(job));
	else
		submit(job, work_text);
}

static void work_continue(struct http_job *job)
{
	http_continue(job, on_continued);
}

static void on_continue(struct http_job *job)
{
	if (!*http_query(job))
		submit(job, work_continue);
	else if (http_submit(job, pool, work_continue))
		http_reply_text(job, 503, "The queue is full");
}

static void wait_a_minute(struct http_job *job)
{
	http_after(job, 60000, on_continued);
}

static void work_and_wait(struct http_job *job)
{
	sem_post(&working);
	while (sem_wait(&resume))
		;
	http_continue(job, wait_a_minute);
}

static void on_minute(struct http_job *job)
{
	if (*http_query(job)) {
		submit(job, work_and_wait);
	} else {
		give_data(job);
		wait_a_minute(job);
		sem_post(&working);
	}
}

static const struct http_route routes[] = {
	{"/text", HTTP_GET, on_text, NULL},
	{"/strbuf", HTTP_GET, on_strbuf, NULL},
	{"/blocked", HTTP_GET, on_blocked, NULL},
	{"/abort", HTTP_GET, on_abort, NULL},
	{"/after", HTTP_GET, on_after, NULL},
	{"/continue", HTTP_GET, on_continue, NULL},
	{"/minute", HTTP_GET, on_minute, NULL},
};

static int start(void **state)
{
	const struct http_pool_config config = {"test", 1, 2, NULL};

	(void)state;
	sem_init(&working, 0, 0);
	sem_init(&resume, 0, 0);
	if (http_pool_create(&config, &pool))
		return -1;
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	if (server)
		http_server_stop(server, 1000);
	server = NULL;
	if (pool)
		http_pool_stop(pool, 1000);
	pool = NULL;
	/* Every job is gone, and took its data along. */
	if (atomic_load(&freed_count) != atomic_load(&data_count))
		fail_msg("%d of %d freed", atomic_load(&freed_count), atomic_load(&data_count));
	return 0;
}

static void workers_answer(void **state)
{
	struct client_response response;
	int fd = client_connect(server);

	(void)state;
	for (int i = 0; i < 3; i++) {
		client_send(fd, "GET /text?q HTTP/1.1\r\n\r\n");
		client_receive(fd, false, &response);
		assert_int_equal(response.status, 200);
		assert_string_equal(response.body, "test-0 data q\n");
		assert_non_null(strstr(response.head, "\r\nX-Thread: worker\r\n"));
	}
	client_send(fd, "GET /strbuf HTTP/1.1\r\n\r\n");
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "from a worker");
	client_send(fd, "GET /strbuf?inline HTTP/1.1\r\n\r\n");
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "from a worker");
	close(fd);
}

static void workers_hand_back(void **state)
{
	struct client_response response;

	(void)state;
	client_get(server, "/continue", &response);
	assert_string_equal(response.body, "continued data\n");
	/* Twice to the pool. */
	client_get(server, "/continue?again", &response);
	assert_string_equal(response.body, "test-0 data again\n");
}

/* Several at once, apart from each other: none may fire with another's. */
static void timers_are_on_time(void **state)
{
	struct timespec apart = {0, 7 * CLOCK_NS_PER_MS};
	struct client_response response;
	int64_t start_ns[8], took_ms;
	int fds[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		start_ns[i] = clock_monotonic_ns();
		fds[i] = client_ask(server, "/after");
		nanosleep(&apart, NULL);
	}
	for (int i = 0; i < 8; i++) {
		client_receive(fds[i], false, &response);
		took_ms = (clock_monotonic_ns() - start_ns[i]) / CLOCK_NS_PER_MS;
		assert_string_equal(response.body, "timer");
		/* Four times 30 ms, each at most 20 ms late; and a busy machine. */
		assert_in_range(took_ms, 4 * 30, 4 * (30 + 20) + 300);
		close(fds[i]);
	}
}

static void aborts_without_an_answer(void **state)
{
	static const char *const targets[] = {"/abort", "/abort?inline"};
	struct client_response response;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		client_get(server, targets[i], &response);
		assert_int_equal(response.status, 0);
	}
}

static void refuses_when_the_queue_is_full(void **state)
{
	struct client_response response;
	int fds[3];

	(void)state;
	fds[0] = client_ask(server, "/blocked");
	client_await(&working);
	fds[1] = client_ask(server, "/text");
	fds[2] = client_ask(server, "/text");
	while (http_pool_queued_count(pool) < 2)
		usleep(100);
	client_get(server, "/text", &response);
	assert_int_equal(response.status, 503);
	assert_non_null(strstr(response.body, "try again in a moment"));
	sem_post(&resume);
	for (int i = 0; i < 3; i++) {
		client_receive(fds[i], false, &response);
		assert_int_equal(response.status, 200);
		close(fds[i]);
	}
	assert_int_equal(http_pool_queued_count(pool), 0);
}

static pthread_t called_in;

static void call(void *data)
{
	called_in = pthread_self();
	sem_post(&working);
	if (!data)
		return;
	while (sem_wait(data))
		;
	sem_post(&working);
}

static void calls_run_in_a_worker_and_are_never_lost(void **state)
{
	(void)state;
	assert_int_equal(http_pool_call(pool, call, &resume), 0);
	client_await(&working);
	assert_false(pthread_equal(called_in, pthread_self()));
	assert_int_equal(http_pool_call(pool, call, NULL), 0);
	assert_int_equal(http_pool_call(pool, call, NULL), 0);
	/* As many as may wait. */
	assert_int_equal(http_pool_call(pool, call, NULL), -EAGAIN);
	http_server_stop(server, 50);
	server = NULL;
	/* The worker is blocked: what is queued is done here. */
	http_pool_stop(pool, 50);
	pool = NULL;
	client_await(&working);
	client_await(&working);
	assert_true(pthread_equal(called_in, pthread_self()));
	sem_post(&resume);
	client_await(&working);
}

static void *resume_later(void *unused)
{
	struct timespec pause = {0, 100 * CLOCK_NS_PER_MS};

	(void)unused;
	nanosleep(&pause, NULL);
	sem_post(&resume);
	return NULL;
}

static void stop_lets_jobs_answer(void **state)
{
	struct client_response response;
	int idle = client_connect(server), busy;
	int64_t start_ns = clock_monotonic_ns();
	pthread_t thread;

	(void)state;
	busy = client_ask(server, "/blocked");
	client_await(&working);
	assert_int_equal(pthread_create(&thread, NULL, resume_later, NULL), 0);
	http_server_stop(server, CLIENT_WAIT_MS);
	server = NULL;
	/* It waits for the job, not for the idle connection. */
	assert_true(clock_monotonic_ns() - start_ns < CLOCK_NS_PER_SEC);
	client_receive(busy, false, &response);
	assert_int_equal(response.status, 200);
	assert_non_null(strstr(response.head, "\r\nConnection: close\r\n"));
	client_receive(idle, false, &response);
	assert_int_equal(response.status, 0);
	close(idle);
	close(busy);
	pthread_join(thread, NULL);
}

#ifndef SICKBAY_SAN
/* Puts another file in the place of every epoll instance: waiting for it fails for good. */
static void break_epolls(void)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	DIR *dir = opendir("/proc/self/fd");

	assert_true(null_fd >= 0 && dir);
	for (const struct dirent *entry; (entry = readdir(dir));) {
		char target[64] = "";

		if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0 &&
			strcmp(target, "anon_inode:[eventpoll]") == 0)
			assert_true(dup2(null_fd, (int)strtol(entry->d_name, NULL, 10)) >= 0);
	}
	closedir(dir);
	close(null_fd);
}

static void stop_survives_a_broken_loop(void **state)
{
	(void)state;
	alarm(CLIENT_WAIT_MS / 1000);
	break_epolls();
	http_server_stop(server, 50);
	server = NULL;
	alarm(0);
}
#endif

/* It waits for what can still answer, but not for what it will have to cut anyway. */
static void stop_cuts_long_waits_at_once(void **state)
{
	struct client_response response;
	int before = atomic_load(&data_count);
	int minute = client_ask(server, "/minute"), later, quick;
	int64_t start_ns;
	pthread_t thread;

	(void)state;
	client_await(&working);
	later = client_ask(server, "/minute?later");
	client_await(&working);
	start_ns = clock_monotonic_ns();
	quick = client_ask(server, "/after");
	while (atomic_load(&data_count) - before < 3)
		usleep(100);
	assert_int_equal(pthread_create(&thread, NULL, resume_later, NULL), 0);
	http_server_stop(server, CLIENT_WAIT_MS);
	server = NULL;
	assert_true(clock_monotonic_ns() - start_ns < CLOCK_NS_PER_SEC);
	pthread_join(thread, NULL);
	client_receive(quick, false, &response);
	assert_string_equal(response.body, "timer");
	client_receive(minute, false, &response);
	assert_int_equal(response.status, 0);
	client_receive(later, false, &response);
	assert_int_equal(response.status, 0);
	close(minute);
	close(later);
	close(quick);
}

static void stop_leaves_a_blocked_worker_behind(void **state)
{
	struct client_response response;
	int fd, queued, waiting, deadline = 0;
	int64_t start_ns;

	(void)state;
	fd = client_ask(server, "/blocked");
	client_await(&working);
	queued = client_ask(server, "/text");
	waiting = client_ask(server, "/after");
	while (http_pool_queued_count(pool) < 1)
		usleep(100);
	start_ns = clock_monotonic_ns();
	http_server_stop(server, 50);
	http_pool_stop(pool, 50);
	assert_true(clock_monotonic_ns() - start_ns < CLOCK_NS_PER_SEC);
	server = NULL;
	pool = NULL;
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 0);
	client_receive(queued, false, &response);
	assert_int_equal(response.status, 0);
	close(fd);
	close(queued);
	close(waiting);
	/* It comes back to a server and a pool that are gone, and must only let go. */
	sem_post(&resume);
	while (atomic_load(&freed_count) != atomic_load(&data_count)) {
		assert_true(deadline++ < CLIENT_WAIT_MS);
		usleep(1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(workers_answer, start, stop),
		cmocka_unit_test_setup_teardown(workers_hand_back, start, stop),
		cmocka_unit_test_setup_teardown(timers_are_on_time, start, stop),
		cmocka_unit_test_setup_teardown(aborts_without_an_answer, start, stop),
		cmocka_unit_test_setup_teardown(refuses_when_the_queue_is_full, start, stop),
		cmocka_unit_test_setup_teardown(
			calls_run_in_a_worker_and_are_never_lost, start, stop),
		cmocka_unit_test_setup_teardown(stop_lets_jobs_answer, start, stop),
		cmocka_unit_test_setup_teardown(stop_cuts_long_waits_at_once, start, stop),
#ifndef SICKBAY_SAN /* what cannot be taken apart leaks */
		cmocka_unit_test_setup_teardown(stop_survives_a_broken_loop, start, stop),
#endif
		cmocka_unit_test_setup_teardown(stop_leaves_a_blocked_worker_behind, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
