/* block and mutex over real sockets, of a patient that hangs in step 1. */
#include "../http/client.h"
#include "../support/plane.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/call.h"
#include "common/clock.h"
#include "debug/debug.h"
#include "diag/contention.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define REQUESTS 3
#define DELAY_VALUE 1

static struct http_server *server;
static struct http_pool *pool;

static void assert_answer(const char *target, int status, const char *part)
{
	struct client_response response;

	client_get(server, target, &response);
	if (response.status != status || !strstr(response.body, part))
		fail_msg("%s: expected %d and \"%s\", got %d:\n%s", target, status, part,
			response.status, response.body);
}

static struct read_profile *get_profile(const char *target)
{
	struct client_response response;
	struct strbuf gzip = STRBUF_INIT;
	struct read_profile *profile;

	client_get(server, target, &response);
	assert_int_equal(response.status, 200);
	strbuf_add(&gzip, response.body, response.body_len_bytes);
	profile = read_profile_open(&gzip);
	strbuf_free(&gzip);
	return profile;
}

static void test_nonsense_gets_a_sentence(void **state)
{
	static const char *const names[] = {"block", "mutex"};
	char target[64];

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(target, sizeof(target), "/debug/pprof/%s?seconds=301", names[i]);
		assert_answer(target, 400, "seconds must be a whole number from 0 to 300");
		snprintf(target, sizeof(target), "/debug/pprof/%s?debug=3", names[i]);
		assert_answer(target, 400, "debug must be a whole number from 0 to 2");
	}
}

static void *serve(void *arg)
{
	struct fault_call call = {0};

	step_begin(&call.turn);
	call.turn.fault->serve(&call);
	step_end(&call.turn);
	return arg;
}

static int64_t value_of(const char *target, int index, const char *callee, const char *caller)
{
	struct read_profile *profile = get_profile(target);
	int64_t value = read_profile_edge(profile, index, callee, caller);

	read_profile_close(profile);
	return value;
}

static void await_requests(void)
{
	int64_t end_ns = clock_monotonic_ns() + 10 * CLOCK_NS_PER_SEC;

	while (value_of("/debug/pprof/block", 0, "pthread_mutex_lock", "update_shared_state") <
		REQUESTS)
		assert_true(clock_monotonic_ns() < end_ns);
}

/* What grows in a second by one second per waiter, and by nothing else. */
static void assert_grows(const char *target, const char *callee, const char *caller)
{
	double delay_ns = (double)value_of(target, DELAY_VALUE, callee, caller);

	assert_true(delay_ns > 0.9 * REQUESTS * CLOCK_NS_PER_SEC);
	assert_true(delay_ns < 1.5 * REQUESTS * CLOCK_NS_PER_SEC);
}

static void test_step_1_shows_who_waits_and_who_holds(void **state)
{
	pthread_t threads[REQUESTS];

	(void)state;
	assert_int_equal(step_switch(STEP_OF_fault_mutex, false), 0);
	for (int i = 0; i < REQUESTS; i++)
		pthread_create(&threads[i], NULL, serve, NULL);
	await_requests();
	assert_answer("/debug/pprof/mutex?debug=1", 200, "\tforget_to_unlock+0x");
	assert_answer("/debug/pprof/mutex?debug=2", 200, "--- mutex:\n");
	assert_answer("/debug/pprof/block?debug=1", 200, "\tupdate_shared_state+0x");
	assert_answer("/debug/pprof/block?debug=2", 200, "--- contention:\n");
	assert_grows("/debug/pprof/block?seconds=1", "pthread_mutex_lock", "update_shared_state");
	assert_grows("/debug/pprof/mutex?seconds=1", "wait_for", "forget_to_unlock");
	assert_int_equal(step_switch(0, false), 0);
	for (int i = 0; i < REQUESTS; i++)
		pthread_join(threads[i], NULL);
}

/* The only pool here is the debug plane's own. */
static void test_the_plane_itself_is_left_out(void **state)
{
	struct read_profile *profile = get_profile("/debug/pprof/block");

	(void)state;
	assert_int_equal(read_profile_cumulative(profile, DELAY_VALUE, "pool_main"), 0);
	read_profile_close(profile);
}

static void test_a_difference_waits_as_a_timer(void **state)
{
	int fds[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		fds[i] = client_ask(server, "/debug/pprof/block?seconds=300");
	assert_answer("/debug/pprof/mutex?debug=1", 200, "--- mutex:\n");
	for (int i = 0; i < 16; i++)
		close(fds[i]);
}

static int set_up(void **state)
{

	(void)state;
	probe_thread_init();
	assert_int_equal(modules_init(), 0);
	assert_int_equal(contention_init(), 0);
	server = plane_create(&pool);
	return http_server_start(server);
}

static int tear_down(void **state)
{
	(void)state;
	plane_stop(server, pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonsense_gets_a_sentence),
		cmocka_unit_test(test_step_1_shows_who_waits_and_who_holds),
		cmocka_unit_test(test_the_plane_itself_is_left_out),
		cmocka_unit_test(test_a_difference_waits_as_a_timer),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
