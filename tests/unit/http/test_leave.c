/*
 * Clients that go away before their answer: noticed soon, in every state a job can be in, and
 * nothing is kept.
 */
#include "client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define LEAVE_NOTICED_MS 250
#define BURST_COUNT 1000

static struct http_server *server;
static struct http_pool *pool;
static sem_t working, resume, left, freed;
static atomic_int jobs_count, freed_count, answered_count;

static void free_data(void *data)
{
	(void)data;
	atomic_fetch_add(&freed_count, 1);
	sem_post(&freed);
}

static void on_leave(struct http_job *job)
{
	assert_true(http_client_left(job));
	sem_post(&left);
}

static void watch(struct http_job *job)
{
	atomic_fetch_add(&jobs_count, 1);
	http_set_data(job, job, free_data);
	http_on_leave(job, on_leave);
}

static void work(struct http_job *job)
{
	sem_post(&working);
	while (sem_wait(&resume))
		;
	atomic_fetch_add(&answered_count, 1);
	http_reply(job, 200, "text/plain", "late", 4);
}

static void on_work(struct http_job *job)
{
	watch(job);
	if (http_submit(job, pool, work))
		http_reply_text(job, 503, "The queue is full");
}

static void answer(struct http_job *job)
{
	http_reply(job, 200, "text/plain", "waited", 6);
}

static void on_wait(struct http_job *job)
{
	watch(job);
	http_after(job, 60000, answer);
	sem_post(&working);
}

static void on_short_wait(struct http_job *job)
{
	watch(job);
	http_after(job, 400, answer);
}

/* Waits less than clients are looked at, again and again. */
static void wait_again(struct http_job *job)
{
	http_after(job, 20, wait_again);
}

static void on_waits(struct http_job *job)
{
	watch(job);
	wait_again(job);
	sem_post(&working);
}

static const struct http_route routes[] = {
	{"/waits", HTTP_GET, on_waits, NULL},
	{"/work", HTTP_GET, on_work, NULL},
	{"/wait", HTTP_GET, on_wait, NULL},
	{"/short", HTTP_GET, on_short_wait, NULL},
};

static int start(void **state)
{
	const struct http_pool_config config = {"test", 2, 2 * BURST_COUNT, NULL};

	(void)state;
	sem_init(&working, 0, 0);
	sem_init(&resume, 0, 0);
	sem_init(&left, 0, 0);
	sem_init(&freed, 0, 0);
	atomic_store(&jobs_count, 0);
	atomic_store(&freed_count, 0);
	atomic_store(&answered_count, 0);
	if (http_pool_create(&config, &pool))
		return -1;
	server = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 100);
	http_pool_stop(pool, 1000);
	assert_int_equal(atomic_load(&freed_count), atomic_load(&jobs_count));
	return 0;
}

static void expect_soon(sem_t *event, int64_t since_ns)
{
	client_await(event);
	assert_true(clock_monotonic_ns() - since_ns < LEAVE_NOTICED_MS * CLOCK_NS_PER_MS);
}

static void noticed_at(const char *target)
{
	size_t fds = client_open_fds();
	int64_t since_ns;
	int fd = client_ask(server, target);

	client_await(&working);
	since_ns = clock_monotonic_ns();
	close(fd);
	expect_soon(&left, since_ns);
	/* The timer goes with it. */
	expect_soon(&freed, since_ns);
	client_await_fds(fds);
}

static void noticed_while_waiting(void **state)
{
	(void)state;
	noticed_at("/wait");
}

static void noticed_between_short_waits(void **state)
{
	(void)state;
	noticed_at("/waits");
}

static void noticed_while_running(void **state)
{
	size_t fds = client_open_fds();
	int64_t since_ns;
	int fd = client_ask(server, "/work");

	(void)state;
	client_await(&working);
	since_ns = clock_monotonic_ns();
	close(fd);
	expect_soon(&left, since_ns);
	client_await_fds(fds);
	assert_int_equal(atomic_load(&freed_count), 0);
	sem_post(&resume);
	client_await(&freed);
	assert_int_equal(atomic_load(&answered_count), 1);
}

static void dropped_while_queued(void **state)
{
	size_t fds;
	int64_t since_ns;
	int busy[2], fd;

	(void)state;
	for (int i = 0; i < 2; i++) {
		busy[i] = client_ask(server, "/work");
		client_await(&working);
	}
	fds = client_open_fds();
	fd = client_ask(server, "/work");
	while (http_pool_queued_count(pool) != 1)
		usleep(100);
	since_ns = clock_monotonic_ns();
	close(fd);
	expect_soon(&left, since_ns);
	expect_soon(&freed, since_ns);
	assert_int_equal(http_pool_queued_count(pool), 0);
	client_await_fds(fds);
	/* Both, as it is not said which worker the first would wake. */
	for (int i = 0; i < 2; i++)
		sem_post(&resume);
	for (int i = 0; i < 2; i++) {
		struct client_response response;

		client_receive(busy[i], false, &response);
		assert_string_equal(response.body, "late");
		close(busy[i]);
	}
	assert_int_equal(atomic_load(&answered_count), 2);
}

static void not_called_after_an_answer(void **state)
{
	struct client_response response;

	(void)state;
	client_get(server, "/short", &response);
	assert_string_equal(response.body, "waited");
	client_await(&freed);
	assert_int_equal(sem_trywait(&left), -1);
}

/* poll(2) takes no more sockets than the soft limit, which a room may lower while clients wait. */
static void noticed_below_a_lowered_limit(void **state)
{
	struct rlimit limit, low;
	int fds[64];

	(void)state;
	for (int i = 0; i < 64; i++) {
		fds[i] = client_ask(server, "/wait");
		client_await(&working);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 20;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 64; i++)
		close(fds[i]);
	for (int i = 0; i < 64; i++)
		client_await(&left);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void reset(int fd)
{
	struct linger at_once = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(fd);
}

static void *resume_all(void *unused)
{
	(void)unused;
	for (int i = 0; i < BURST_COUNT; i++) {
		sem_post(&resume);
		if (i % 16 == 0)
			usleep(500);
	}
	return NULL;
}

/* While workers answer some, others leave in every way there is. */
static void a_burst_leaves_in_the_middle(void **state)
{
	static const char *const targets[] = {"/work", "/wait", "/short", "/work"};
	static int fds[BURST_COUNT];
	size_t before;
	pthread_t thread;

	(void)state;
	before = client_open_fds();
	for (int i = 0; i < BURST_COUNT; i++)
		fds[i] = client_ask(server, targets[i % 4]);
	assert_int_equal(pthread_create(&thread, NULL, resume_all, NULL), 0);
	for (int i = 0; i < BURST_COUNT; i++) {
		if (i % 3)
			reset(fds[i]);
		else
			close(fds[i]);
	}
	client_await_fds(before);
	pthread_join(thread, NULL);
	/* Some never became jobs: they were gone before they were read. */
	for (int waited = 0; atomic_load(&freed_count) < atomic_load(&jobs_count); waited++) {
		assert_true(waited < CLIENT_WAIT_MS);
		usleep(1000);
	}
	assert_int_equal(http_pool_queued_count(pool), 0);
}

static int raise_limit(void **state)
{
	struct rlimit limit;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(noticed_while_waiting, start, stop),
		cmocka_unit_test_setup_teardown(noticed_between_short_waits, start, stop),
		cmocka_unit_test_setup_teardown(noticed_while_running, start, stop),
		cmocka_unit_test_setup_teardown(dropped_while_queued, start, stop),
		cmocka_unit_test_setup_teardown(not_called_after_an_answer, start, stop),
		cmocka_unit_test_setup_teardown(noticed_below_a_lowered_limit, start, stop),
		cmocka_unit_test_setup_teardown(a_burst_leaves_in_the_middle, start, stop),
	};

	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
