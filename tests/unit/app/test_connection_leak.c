/* Step 7, beyond what every fault has to keep: many, a pool, and an upstream that is ill itself. */
#include "../support/peer.h"
#include "../support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/call.h"
#include "client/client.h"
#include "common/clock.h"
#include "debug/internal.h"

#define LEAKED 2000
#define REQUESTS 8
#define LEAVE_NS (2 * CLOCK_NS_PER_SEC)

static struct peer upstream;

static void go_to(int step, bool fixed)
{
	assert_int_equal(step_switch(step, fixed), 0);
}

static void leave_in_time(void)
{
	int64_t begin_ns = clock_monotonic_ns();

	go_to(0, false);
	assert_true(clock_monotonic_ns() - begin_ns < LEAVE_NS);
	assert_int_equal(client_connection_count(), 0);
}

/* ---- requests, as workers would serve them ---- */

static int serve_once(void)
{
	struct fault_call call = {.turn = {0}};
	int err;

	step_begin(&call.turn);
	err = call.turn.fault->serve(&call);
	step_end(&call.turn);
	return err;
}

static void *request_main(void *outcome)
{
	*(int *)outcome = serve_once();
	return NULL;
}

struct requests {
	pthread_t threads[REQUESTS];
	int outcomes[REQUESTS];
};

static void begin_requests(struct requests *requests)
{
	for (int i = 0; i < REQUESTS; i++)
		assert_int_equal(pthread_create(&requests->threads[i], NULL, request_main,
					 &requests->outcomes[i]),
			0);
}

static void end_requests(struct requests *requests)
{
	for (int i = 0; i < REQUESTS; i++) {
		pthread_join(requests->threads[i], NULL);
		assert_int_equal(requests->outcomes[i], 0);
	}
}

/* ---- */

static void thousands_end_with_the_step(void **state)
{
	int64_t threads = process_thread_count(), fds = process_fd_count();

	(void)state;
	go_to(STEP_OF_fault_connection_leak, false);
	for (int i = 0; i < LEAKED; i++)
		assert_int_equal(serve_once(), 0);
	assert_int_equal(process_thread_count(), threads + LEAKED);
	assert_int_equal(process_fd_count(), fds + 3 * LEAKED);
	assert_int_equal(client_connection_count(), LEAKED);
	leave_in_time();
	assert_int_equal(process_fd_count(), fds);
}

static void the_fixed_variant_keeps_a_pool_of_two(void **state)
{
	struct requests requests;

	(void)state;
	go_to(STEP_OF_fault_connection_leak, true);
	for (int i = 0; i < 10; i++)
		assert_int_equal(serve_once(), 0);
	assert_int_equal(client_connection_count(), 1);
	begin_requests(&requests);
	end_requests(&requests);
	assert_in_range(client_connection_count(), 1, 2);
	leave_in_time();
}

/* It listens, and that is all. */
static int listen_in_silence(char url[64])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t address_bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, address_bytes), 0);
	assert_int_equal(listen(fd, REQUESTS), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &address_bytes), 0);
	snprintf(url, 64, "http://127.0.0.1:%d", ntohs(address.sin_port));
	return fd;
}

static void who_waits_for_a_silent_upstream_is_let_go(void **state)
{
	struct requests requests;
	char url[64];
	int listener = listen_in_silence(url), fd;

	(void)state;
	fault_upstream_url = url;
	go_to(STEP_OF_fault_connection_leak, false);
	begin_requests(&requests);
	fd = accept(listener, NULL, NULL); /* by now one of them waits, or is about to */
	leave_in_time();
	end_requests(&requests);
	close(fd);
	close(listener);
	fault_upstream_url = upstream.url;
}

static void an_upstream_that_is_down_fails_the_request(void **state)
{
	(void)state;
	fault_upstream_url = "http://127.0.0.1:1";
	for (int fixed = 0; fixed <= 1; fixed++) {
		go_to(STEP_OF_fault_connection_leak, fixed);
		assert_int_equal(serve_once(), -ECONNREFUSED);
		leave_in_time();
	}
	fault_upstream_url = upstream.url;
}

static void the_leak_ends_at_the_limit_and_is_undone(void **state)
{
	struct rlimit limit, low;
	int err = 0, served = 0;

	(void)state;
	go_to(STEP_OF_fault_connection_leak, false);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (!err && served++ < 64)
		err = serve_once();
	assert_int_equal(err, -EMFILE);
	assert_true(served > 10);
	go_to(STEP_OF_fault_connection_leak, false);
	assert_int_equal(serve_once(), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	leave_in_time();
}

/* Thousands of connections, at both ends. */
static int raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -1;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

static int start(void **state)
{
	(void)state;
	if (raise_limit() != 0)
		return -1;
	upstream = peer_start();
	fault_upstream_url = upstream.url;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	peer_stop(&upstream);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thousands_end_with_the_step),
		cmocka_unit_test(the_fixed_variant_keeps_a_pool_of_two),
		cmocka_unit_test(who_waits_for_a_silent_upstream_is_let_go),
		cmocka_unit_test(an_upstream_that_is_down_fails_the_request),
		cmocka_unit_test(the_leak_ends_at_the_limit_and_is_undone),
	};

	if (argc > 1 && strcmp(argv[0], PEER_NAME) == 0)
		return peer_main();
	return cmocka_run_group_tests(tests, start, stop);
}
