/* The debug plane over real sockets: answers, refusals, and that nothing of it stays behind. */
#include "../support/plane.h"
#include "../support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "debug/debug.h"
#include "debug/internal.h"
#include "diag/cpu.h"
#include "http/http.h"
#include "probe/symbolize.h"

#define DEADLINE_NS (10 * CLOCK_NS_PER_SEC)

static struct http_server *server;
static struct http_pool *pool;

static int dial(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(http_server_port(server))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int ask(const char *target)
{
	char request[1536];
	int fd = dial(), len_bytes;

	len_bytes = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target);
	assert_int_equal(write(fd, request, (size_t)len_bytes), len_bytes);
	return fd;
}

static int status_of(const struct strbuf *response)
{
	assert_true(response->len_bytes > 12);
	return (int)strtol(response->data + strlen("HTTP/1.1 "), NULL, 10);
}

static struct strbuf get(const char *target)
{
	struct strbuf response = STRBUF_INIT;
	int fd = ask(target);

	assert_int_equal(strbuf_read_fd(&response, fd, 64 << 20), 0);
	close(fd);
	return response;
}

static void assert_answer(const char *target, int status, const char *part)
{
	struct strbuf response = get(target);

	if (status_of(&response) != status || !strstr(response.data, part))
		fail_msg("%s: expected %d and \"%s\", got:\n%s", target, status, part,
			response.data);
	strbuf_free(&response);
}

static void test_answers(void **state)
{
	(void)state;
	assert_answer("/healthz", 200, "ok");
	assert_answer("/debug/pprof/", 200, "<title>/debug/pprof/</title>");
	assert_answer("/debug/pprof", 200, "<title>/debug/pprof/</title>");
	assert_answer("/debug/vars", 200, "\"memstats\": {\"Alloc\": ");
	assert_answer("/debug/pprof/cmdline", 200, "test_plane");
	assert_answer("/debug/pprof/symbol", 200, "num_symbols: 1");
	assert_answer("/debug/pprof/symbol?0x0", 200, "0x0\t0x0");
}

static void test_nonsense_gets_a_sentence(void **state)
{
	static const char *const seconds[] = {
		"-1", "abc", "1e9", "0", "301", "", "5%00", "%zz", "5x", "99999999999999999999"};
	char target[128];

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		snprintf(target, sizeof(target), "/debug/pprof/profile?seconds=%s", seconds[i]);
		assert_answer(target, 400, "seconds must be a whole number from 1 to 300");
	}
	assert_answer("/debug/pprof/profile?hz=0", 400, "hz must be");
	assert_answer("/debug/pprof/profile?hz=101", 400, "hz must be");
	assert_answer("/debug/pprof/heap?debug=x", 400, "debug must be");
	assert_answer("/debug/pprof/heap?seconds=-1", 400, "seconds must be");
	assert_answer("/debug/pprof/heap?sampler=maybe", 400, "sampler must be on or off");
	assert_answer("/debug/pprof/heap?exact=perhaps-or-not", 400, "exact must be");
	assert_answer("/debug/pprof/nope", 404, "Unknown profile");
	assert_answer("/debug/pprof/../../etc/passwd", 404, "");
	assert_answer("/debug/pprof/symbol?+++zz+0xffffffffffffffffffff", 200, "");
}

#ifndef SICKBAY_SAN
static void test_profiles_are_gzip(void **state)
{
	static const char *const targets[] = {
		"/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/profile?seconds=1"};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct strbuf response = get(targets[i]);
		const char *body = strstr(response.data, "\r\n\r\n") + 4;

		assert_int_equal(status_of(&response), 200);
		assert_memory_equal(body, "\x1f\x8b", 2);
		strbuf_free(&response);
	}
}

static void test_the_sampler_and_the_exact_profiler_are_switched(void **state)
{
	(void)state;
	assert_answer("/debug/pprof/heap?sampler=off", 200, "heap sampler is off");
	assert_answer("/debug/pprof/heap?sampler=on", 200, "heap sampler is on");
	assert_answer("/debug/pprof/heap?exact=1", 409, "not running");
	assert_answer("/debug/pprof/heap?exact=start", 200, "started");
	assert_answer("/debug/pprof/heap?exact=start", 409, "running already");
	assert_answer("/debug/pprof/heap?exact=1&debug=1", 200, "heap profile: ");
	assert_answer("/debug/pprof/heap?exact=stop", 200, "stopped");
	assert_answer("/debug/pprof/heap?exact=stop", 409, "not running");
}

/* Refused: another profile is running. Granted: none was. */
static bool profile_is_refused(void)
{
	struct strbuf response = get("/debug/pprof/profile?seconds=1");
	bool refused = status_of(&response) == 500;

	if (refused)
		assert_non_null(strstr(response.data,
			"Could not enable CPU profiling: cpu profiling already in use"));
	strbuf_free(&response);
	return refused;
}

/* Looks by taking one itself, which may refuse somebody else's. */
static bool a_profile_runs(void)
{
	int err = cpu_profile_start(CPU_HZ_DEFAULT);

	if (!err)
		cpu_profile_drop();
	return err == -EBUSY;
}

/* Returns its client, once it runs. */
static int begin_long_profile(void)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;
	int fd = ask("/debug/pprof/profile?seconds=300");

	while (!a_profile_runs()) {
		assert_true(clock_monotonic_ns() < end_ns);
		/* Answered at once: it came while we looked. */
		if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10) == 0)
			continue;
		close(fd);
		fd = ask("/debug/pprof/profile?seconds=300");
	}
	assert_true(profile_is_refused());
	return fd;
}

static void await_no_profile(void)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;

	while (profile_is_refused())
		assert_true(clock_monotonic_ns() < end_ns);
}

static void test_a_client_that_leaves_ends_its_profile(void **state)
{
	(void)state;
	close(begin_long_profile());
	await_no_profile();
}

/* Until POOL's threads are let go by unblock_pool(), what is queued stays queued. */
static sem_t blocked, unblock;

static void block(void *unused)
{
	(void)unused;
	sem_post(&blocked);
	while (sem_wait(&unblock))
		;
}

static void block_pool(void)
{
	sem_init(&blocked, 0, 0);
	sem_init(&unblock, 0, 0);
	for (int i = 0; i < PLANE_THREADS; i++) {
		assert_int_equal(http_pool_call(pool, block, NULL), 0);
		while (sem_wait(&blocked))
			;
	}
}

static void unblock_pool(void)
{
	for (int i = 0; i < PLANE_THREADS; i++)
		sem_post(&unblock);
}

/* Ending it waits for locks and for the unwinder: nothing an event loop may do. */
static void test_an_abandoned_profile_ends_on_the_pool(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;
	int fd = begin_long_profile();

	(void)state;
	block_pool();
	close(fd);
	while (http_pool_queued_count(pool) == 0)
		assert_true(clock_monotonic_ns() < end_ns);
	assert_int_equal(cpu_profile_start(CPU_HZ_DEFAULT), -EBUSY);
	unblock_pool();
	await_no_profile();
}

/* Addresses that a client makes up must not push out those that profiles need. */
static void test_made_up_addresses_do_not_fill_the_symbol_cache(void **state)
{
	char target[1100];
	unsigned long address = 1;

	(void)state;
	for (int request = 0; request < 600; request++) {
		int len_bytes = snprintf(target, sizeof(target), "/debug/pprof/symbol?");

		while (len_bytes < 1080)
			len_bytes += snprintf(target + len_bytes,
				sizeof(target) - (size_t)len_bytes, "+%lx", address++);
		assert_answer(target, 200, "");
	}
	assert_true(address > PROBE_SYMBOL_CACHE_MAX);
	assert_string_equal(
		probe_symbolize((uintptr_t)test_made_up_addresses_do_not_fill_the_symbol_cache)
			->frames[0]
			.function,
		"test_made_up_addresses_do_not_fill_the_symbol_cache");
}

static void test_captures_leave_nothing_behind(void **state)
{
	int64_t threads, fds, end_ns;

	(void)state;
	assert_answer("/debug/pprof/profile?seconds=1", 200, "");
	threads = process_thread_count();
	fds = process_fd_count();
	for (int i = 0; i < 20; i++) {
		int fd = ask(
			i % 2 ? "/debug/pprof/profile?seconds=60" : "/debug/pprof/heap?seconds=60");

		if (i % 3)
			shutdown(fd, SHUT_WR);
		close(fd);
	}
	assert_answer("/debug/pprof/heap?seconds=1", 200, "");
	end_ns = clock_monotonic_ns() + DEADLINE_NS;
	while (process_thread_count() != threads || process_fd_count() != fds) {
		assert_true(clock_monotonic_ns() < end_ns);
		assert_answer("/healthz", 200, "ok");
	}
}
#endif

/* Waits are timers: as many as you like, on two threads, and the plane still answers. */
static void test_waiting_captures_starve_nobody(void **state)
{
	int fds[40];

	(void)state;
	for (int i = 0; i < 40; i++)
		fds[i] = ask("/debug/pprof/heap?seconds=300");
	assert_answer("/healthz", 200, "ok");
	assert_answer("/debug/vars", 200, "memstats");
	for (int i = 0; i < 40; i++)
		close(fds[i]);
}

static TEST_FRAME int failing_function(struct strbuf *out)
{
	return debug_stack_text(out);
}

static void test_stack_text_begins_at_the_caller(void **state)
{
	struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(failing_function(&out), 0);
	assert_memory_equal(out.data, "failing_function\n\t", strlen("failing_function\n\t"));
	assert_non_null(strstr(out.data, "test_plane.c:"));
	assert_non_null(strstr(out.data, "test_stack_text_begins_at_the_caller\n"));
	strbuf_free(&out);
}

static int set_up(void **state)
{

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	debug_init();
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
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nonsense_gets_a_sentence),
#ifndef SICKBAY_SAN
		cmocka_unit_test(test_profiles_are_gzip),
		cmocka_unit_test(test_the_sampler_and_the_exact_profiler_are_switched),
		cmocka_unit_test(test_a_client_that_leaves_ends_its_profile),
		cmocka_unit_test(test_an_abandoned_profile_ends_on_the_pool),
		cmocka_unit_test(test_captures_leave_nothing_behind),
		cmocka_unit_test(test_made_up_addresses_do_not_fill_the_symbol_cache),
#endif
		cmocka_unit_test(test_waiting_captures_starve_nobody),
		cmocka_unit_test(test_stack_text_begins_at_the_caller),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
