/* The profiles of a window of time over real sockets: answers, refusals, and clients that leave. */
#include "../http/client.h"
#include "../support/plane.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "debug/debug.h"
#include "debug/internal.h"
#include "debug/window.h"
#include "probe/task.h"

#define DEADLINE_NS (10 * CLOCK_NS_PER_SEC)

static struct http_server *server;
static struct http_pool *pool;

static void sleep_ms(int64_t ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * CLOCK_NS_PER_MS};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static void assert_answer(const char *target, int status, const char *part)
{
	struct client_response response;

	client_get(server, target, &response);
	if (response.status != status || !strstr(response.body, part))
		fail_msg("%s: expected %d and \"%s\", got %d and \"%s\"", target, status, part,
			response.status, response.body);
}

static struct read_profile *get_profile(const char *target)
{
	struct strbuf response = STRBUF_INIT, body = STRBUF_INIT;
	struct read_profile *profile;
	int fd = client_connect(server);
	const char *end_of_head;

	client_send(fd, "GET ");
	client_send(fd, target);
	client_send(fd, " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
	assert_int_equal(strbuf_read_fd(&response, fd, 64 << 20), 0);
	close(fd);
	assert_memory_equal(response.data, "HTTP/1.1 200", strlen("HTTP/1.1 200"));
	end_of_head = strstr(response.data, "\r\n\r\n") + 4;
	strbuf_add(&body, end_of_head, response.len_bytes - (size_t)(end_of_head - response.data));
	profile = read_profile_open(&body);
	strbuf_free(&body);
	strbuf_free(&response);
	return profile;
}

static void test_nonsense_gets_a_sentence(void **state)
{
	static const char *const seconds[] = {"0", "301", "-1", "abc", "", "1.5"};
	char target[64];

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		snprintf(target, sizeof(target), "/debug/pprof/wall?seconds=%s", seconds[i]);
		assert_answer(target, 400, "seconds must be a whole number from 1 to 300");
		snprintf(target, sizeof(target), "/debug/pprof/sched?seconds=%s", seconds[i]);
		assert_answer(target, 400, "seconds must be a whole number from 1 to 300");
	}
	assert_answer("/debug/pprof/wall?hz=0", 400, "hz must be a whole number from 1 to 50");
	assert_answer("/debug/pprof/wall?hz=51", 400, "hz must be a whole number from 1 to 50");
}

/* ---- a thread that is deadlocked, to all appearances ---- */

static pthread_mutex_t business_lock = PTHREAD_MUTEX_INITIALIZER;

static TEST_FRAME void wait_for_business_lock(void)
{
	pthread_mutex_lock(&business_lock);
	pthread_mutex_unlock(&business_lock);
}

static pthread_t business_thread;

static void *business(void *begun)
{
	pthread_setname_np(pthread_self(), "business");
	sem_post(begun);
	wait_for_business_lock();
	return NULL;
}

static void start_deadlock(void)
{
	sem_t begun;

	sem_init(&begun, 0, 0);
	pthread_mutex_lock(&business_lock);
	assert_int_equal(pthread_create(&business_thread, NULL, business, &begun), 0);
	client_await(&begun);
	sem_destroy(&begun);
}

static void end_deadlock(void)
{
	pthread_mutex_unlock(&business_lock);
	pthread_join(business_thread, NULL);
}

static void test_wall_points_at_a_deadlock(void **state)
{
	struct read_profile *profile = get_profile("/debug/pprof/wall?seconds=1&hz=20");
	int64_t wall_ns = read_profile_labelled(
		profile, 1, "wait_for_business_lock", "state", "futex wait");

	(void)state;
	assert_in_range(wall_ns, CLOCK_NS_PER_SEC * 85 / 100, CLOCK_NS_PER_SEC * 115 / 100);
	assert_non_null(strstr(read_profile_comment(profile), " sweeps in "));
	/* The debug plane does not show itself. */
	assert_int_equal(read_profile_cumulative(profile, 0, "wall_profile_sweep"), 0);
	read_profile_close(profile);
}

static void test_sched_has_all_threads(void **state)
{
	struct read_profile *profile = get_profile("/debug/pprof/sched?seconds=1");

	(void)state;
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "thread", "business"), 1);
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "thread", "loop-0"), 1);
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "thread", "debug-0"), 0);
	read_profile_close(profile);
}

/* ---- those that wait, and those that leave ---- */

/* What the threads of the debug pool have run so far. */
static void add_run_ns(pid_t tid, void *sum_ns)
{
	struct probe_task_sched sched;
	char name[PROBE_NAME_BYTES];

	if (probe_task_name(tid, name) == 0 && strncmp(name, "debug-", 6) == 0 &&
		probe_task_sched(tid, &sched) == 0)
		*(int64_t *)sum_ns += sched.run_ns;
}

static bool pool_is_at_work(void)
{
	int64_t before_ns = 0, after_ns = 0;

	assert_int_equal(probe_task_for_each(add_run_ns, &before_ns), 0);
	sleep_ms(300);
	assert_int_equal(probe_task_for_each(add_run_ns, &after_ns), 0);
	return after_ns > before_ns;
}

static void test_long_ones_starve_nobody_and_end_with_their_clients(void **state)
{
	int64_t threads, fds, end_ns;
	int clients[16];

	(void)state;
	assert_answer("/healthz", 200, "ok");
	threads = process_thread_count();
	fds = process_fd_count();
	for (int i = 0; i < 16; i++)
		clients[i] = client_ask(server,
			i % 2 ? "/debug/pprof/wall?seconds=300" : "/debug/pprof/sched?seconds=300");
	read_profile_close(get_profile("/debug/pprof/wall?seconds=1"));
	assert_answer("/healthz", 200, "ok");
	assert_true(pool_is_at_work());
	for (int i = 0; i < 16; i++) {
		if (i % 3)
			shutdown(clients[i], SHUT_WR);
		close(clients[i]);
	}
	end_ns = clock_monotonic_ns() + DEADLINE_NS;
	while (process_thread_count() > threads || process_fd_count() > fds || pool_is_at_work())
		assert_true(clock_monotonic_ns() < end_ns);
}

/* ---- a window that fails ---- */

static int start_error, stop_error;

static int failing_start(int64_t seconds, int64_t hz, void **session)
{
	(void)seconds;
	(void)hz;
	if (start_error == 0)
		*session = &start_error;
	return start_error;
}

static int failing_stop(void *session, struct strbuf *out)
{
	(void)session;
	(void)out;
	return stop_error;
}

static void free_nothing(void *session)
{
	(void)session;
}

static void failing_profile(struct http_job *job)
{
	static const struct debug_window window = {
		.what = "failing profile",
		.unsupported = "This machine has none.",
		.start = failing_start,
		.stop = failing_stop,
		.free_session = free_nothing,
	};

	debug_window_run(job, &window, 1, 0);
}

static void test_errors_are_said(void **state)
{
	(void)state;
	start_error = -ENOTSUP;
	assert_answer("/failing", 500, "This machine has none.");
	start_error = -ENOMEM;
	assert_answer("/failing", 500, "Could not start the failing profile: Cannot allocate");
	/* There is no sentence of its own for it. */
	start_error = -EBUSY;
	assert_answer("/failing", 500, "Could not start the failing profile: Device or resource");
	start_error = 0;
	stop_error = -EIO;
	assert_answer("/failing", 500, "Could not write the failing profile: Input/output error");
}

static int set_up(void **state)
{
	static const struct http_route route = {"/failing", HTTP_GET, failing_profile, NULL};

	(void)state;
	debug_init();
	server = plane_create(&pool);
	http_server_add_routes(server, &route, 1);
	assert_int_equal(http_server_start(server), 0);
	start_deadlock();
	/* No part of the program: sweeps would interrupt its socket calls, which have timeouts. */
	debug_observe_thread();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end_deadlock();
	plane_stop(server, pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonsense_gets_a_sentence),
		cmocka_unit_test(test_wall_points_at_a_deadlock),
		cmocka_unit_test(test_sched_has_all_threads),
		cmocka_unit_test(test_long_ones_starve_nobody_and_end_with_their_clients),
		cmocka_unit_test(test_errors_are_said),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
