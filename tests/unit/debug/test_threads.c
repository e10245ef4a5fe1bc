/* The routes of all threads over real sockets: answers, refusals, and clients that leave. */
#include "../support/plane.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "debug/debug.h"
#include "debug/internal.h"

#define WORKER_COUNT 8
#define DEADLINE_NS (10 * CLOCK_NS_PER_SEC)

static struct http_server *server;
static struct http_pool *debug_threads_pool, *business_pool;

static struct strbuf receive(int fd)
{
	struct strbuf response = STRBUF_INIT;

	assert_int_equal(strbuf_read_fd(&response, fd, 64 << 20), 0);
	close(fd);
	return response;
}

/* No timeouts, as client.h has them: with them, the dump's signal would interrupt our calls. */
static int ask(const char *target)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(http_server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_true(dprintf(fd, "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
			    target) > 0);
	return fd;
}

static const char *body_of(const struct strbuf *response)
{
	const char *end_of_head;

	assert_true(response->len_bytes > 0);
	end_of_head = strstr(response->data, "\r\n\r\n");
	assert_non_null(end_of_head);
	return end_of_head + 4;
}

static void assert_response(
	const struct strbuf *response, int status, const char *type, const char *begin)
{
	char first_line[32];

	body_of(response);
	snprintf(first_line, sizeof(first_line), "HTTP/1.1 %d ", status);
	assert_memory_equal(response->data, first_line, strlen(first_line));
	assert_non_null(strcasestr(response->data, type));
	assert_memory_equal(body_of(response), begin, strlen(begin));
}

static void assert_answer(const char *target, int status, const char *type, const char *begin)
{
	struct strbuf response = receive(ask(target));

	assert_response(&response, status, type, begin);
	strbuf_free(&response);
}

#define TEXT_TYPE "\r\ncontent-type: text/plain; charset=utf-8\r\n"
#define PROFILE_TYPE "\r\ncontent-type: application/octet-stream\r\n"

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (; (text = strstr(text, part)); text++)
		count++;
	return count;
}

static const char *const names[] = {"goroutine", "goroutines", "threads", "threadcreate"};
#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

static void test_every_route_in_every_form(void **state)
{
	static const struct {
		const char *query, *type, *begin[2];
	} forms[] = {
		{"", PROFILE_TYPE, {"\x1f\x8b", "\x1f\x8b"}},
		{"?debug=0", PROFILE_TYPE, {"\x1f\x8b", "\x1f\x8b"}},
		{"?debug=1", TEXT_TYPE, {"thread profile: total ", "threadcreate profile: total "}},
		{"?debug=2", TEXT_TYPE, {"thread ", "threadcreate profile: total "}},
	};
	char target[64];

	(void)state;
	for (size_t i = 0; i < NAME_COUNT; i++)
		for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++) {
			snprintf(target, sizeof(target), "/debug/pprof/%s%s", names[i],
				forms[k].query);
			assert_answer(target, 200, forms[k].type,
				forms[k].begin[strcmp(names[i], "threadcreate") == 0]);
		}
}

static void test_nonsense_gets_a_sentence(void **state)
{
	static const char *const values[] = {"3", "-1", "abc", "", "1x", "99999999999999999999"};
	static const char *const seconds[] = {"301", "-1", "abc", "", "1x", "1e1"};
	char target[64];

	(void)state;
	for (size_t i = 0; i < NAME_COUNT; i++)
		for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
			snprintf(target, sizeof(target), "/debug/pprof/%s?debug=%s", names[i],
				values[k]);
			assert_answer(target, 400, "\r\ncontent-type: text/plain",
				"debug must be a whole number from 0 to 2, for example ?debug=0\n");
		}
	for (size_t i = 0; i < NAME_COUNT; i++)
		for (size_t k = 0; k < sizeof(seconds) / sizeof(seconds[0]); k++) {
			snprintf(target, sizeof(target), "/debug/pprof/%s?seconds=%s", names[i],
				seconds[k]);
			assert_answer(target, 400, "\r\ncontent-type: text/plain",
				"seconds must be a whole number from 0 to 300, ");
		}
}

static struct read_profile *receive_profile(int fd)
{
	struct strbuf response = receive(fd), body = STRBUF_INIT;
	struct read_profile *profile;

	assert_response(&response, 200, PROFILE_TYPE, "\x1f\x8b");
	strbuf_add(&body, body_of(&response),
		response.len_bytes - (size_t)(body_of(&response) - response.data));
	profile = read_profile_open(&body);
	strbuf_free(&body);
	strbuf_free(&response);
	return profile;
}

static void test_profiles_count_the_threads(void **state)
{
	char target[64];

	(void)state;
	for (size_t i = 0; i < NAME_COUNT; i++) {
		struct read_profile *profile;

		snprintf(target, sizeof(target), "/debug/pprof/%s", names[i]);
		profile = receive_profile(ask(target));
		assert_int_equal(read_profile_total(profile, 0), process_thread_count());
		read_profile_close(profile);
	}
}

static void test_several_at_once_all_get_theirs(void **state)
{
	int clients[12];

	(void)state;
	for (int i = 0; i < 12; i++)
		clients[i] = ask("/debug/pprof/threads?debug=2");
	for (int i = 0; i < 12; i++) {
		struct strbuf response = receive(clients[i]);

		assert_response(&response, 200, TEXT_TYPE, "thread ");
		/* Each is whole: the main thread, which is in this line, and the last one. */
		assert_non_null(strstr(response.data, "test_several_at_once_all_get_theirs\n"));
		assert_non_null(strstr(response.data, "\"business-7\" ["));
		strbuf_free(&response);
	}
}

/* ---- windows ---- */

#define BORN_COUNT 5

static sem_t held, debug_may_go, may_go;

static TEST_FRAME void hold(void *until)
{
	sem_post(&held);
	while (sem_wait(until) != 0)
		;
}

static TEST_FRAME void *wait_to_go(void *unused)
{
	hold(&may_go);
	return unused;
}

static void await(sem_t *event, int count)
{
	for (int i = 0; i < count; i++)
		while (sem_wait(event) != 0)
			;
}

static void post(sem_t *event, int count)
{
	for (int i = 0; i < count; i++)
		sem_post(event);
}

static void hold_debug_threads(int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(http_pool_call(debug_threads_pool, hold, &debug_may_go), 0);
	await(&held, count);
}

static void test_a_window_has_who_was_born_in_it(void **state)
{
	static const char *const texts[] = {"thread profile: total 5\n5 @ 0x", "thread "};
	pthread_t threads[BORN_COUNT];
	struct read_profile *profile;
	struct strbuf text;
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;
	int clients[3];
	char target[64];

	(void)state;
	hold_debug_threads(PLANE_THREADS);
	for (int i = 0; i < 3; i++) {
		snprintf(target, sizeof(target), "/debug/pprof/threads?seconds=1&debug=%d", i);
		clients[i] = ask(target);
	}
	while (http_pool_queued_count(debug_threads_pool) < 3)
		assert_true(clock_monotonic_ns() < end_ns);
	post(&debug_may_go, 1);
	/* Once that one is held again, the three have looked; they cannot look again before. */
	hold_debug_threads(1);
	for (int i = 0; i < BORN_COUNT; i++)
		pthread_create(&threads[i], NULL, wait_to_go, NULL);
	await(&held, BORN_COUNT);
	post(&debug_may_go, PLANE_THREADS);
	profile = receive_profile(clients[0]);
	assert_int_equal(read_profile_total(profile, 0), BORN_COUNT);
	assert_int_equal(read_profile_cumulative(profile, 0, "wait_to_go"), BORN_COUNT);
	/* Not those of the debug plane, which have been let go. */
	assert_int_equal(read_profile_cumulative(profile, 0, "hold"), BORN_COUNT);
	assert_int_equal(read_profile_cumulative(profile, 0, "pool_main"), 0);
	read_profile_close(profile);
	for (int i = 1; i < 3; i++) {
		text = receive(clients[i]);
		assert_response(&text, 200, TEXT_TYPE, texts[i - 1]);
		assert_int_equal(count_of(text.data, "wait_to_go"), i == 1 ? 1 : BORN_COUNT);
		assert_null(strstr(text.data, "\"business-"));
		assert_null(strstr(text.data, "\"debug-"));
		strbuf_free(&text);
	}
	post(&may_go, BORN_COUNT);
	for (int i = 0; i < BORN_COUNT; i++)
		pthread_join(threads[i], NULL);
}

/* One more than there may be: whichever comes last has its sentence at once. */
static void test_windows_are_bounded(void **state)
{
	int64_t fds = process_fd_count(), end_ns = clock_monotonic_ns() + DEADLINE_NS;
	struct pollfd clients[9];
	struct strbuf refusal;
	int refused = 0;

	(void)state;
	for (int i = 0; i < 9; i++)
		clients[i] = (struct pollfd){
			.fd = ask("/debug/pprof/threads?seconds=300"), .events = POLLIN};
	assert_int_equal(poll(clients, 9, (int)(DEADLINE_NS / CLOCK_NS_PER_MS)), 1);
	while (!clients[refused].revents)
		refused++;
	refusal = receive(clients[refused].fd);
	assert_response(&refusal, 503, TEXT_TYPE, "8 such windows are open already; try again");
	strbuf_free(&refusal);
	for (int i = 0; i < 9; i++)
		if (i != refused)
			close(clients[i].fd);
	while (process_fd_count() != fds)
		assert_true(clock_monotonic_ns() < end_ns);
}

/* ---- those that leave ---- */

static void test_who_leaves_leaves_nothing_behind(void **state)
{
	int64_t threads, fds, end_ns;
	char target[64];

	(void)state;
	assert_answer("/debug/pprof/threads", 200, PROFILE_TYPE, "");
	threads = process_thread_count();
	fds = process_fd_count();
	for (int i = 0; i < 40; i++) {
		int fd;

		snprintf(target, sizeof(target), "/debug/pprof/%s?debug=%d&seconds=%d",
			names[(size_t)i % NAME_COUNT], i % 3, i % 4 < 2 ? 0 : 300);
		fd = ask(target);
		if (i % 2)
			shutdown(fd, SHUT_WR);
		close(fd);
	}
	end_ns = clock_monotonic_ns() + DEADLINE_NS;
	while (process_thread_count() != threads || process_fd_count() != fds) {
		assert_true(clock_monotonic_ns() < end_ns);
		assert_answer("/healthz", 200, "", "ok");
	}
}

/* ---- a program that hangs ---- */

static pthread_mutex_t business_lock = PTHREAD_MUTEX_INITIALIZER;

static TEST_FRAME void wait_for_business_lock(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&business_lock);
	pthread_mutex_unlock(&business_lock);
}

static size_t hanging_count(void)
{
	struct strbuf response = receive(ask("/debug/pprof/threads?debug=2"));
	size_t count = count_of(body_of(&response), "waits for mutex business_lock (0x");

	strbuf_free(&response);
	return count;
}

static void test_it_answers_while_the_program_hangs(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS, start_ns;
	struct strbuf response;
	char target[64];

	(void)state;
	pthread_mutex_lock(&business_lock);
	for (int i = 0; i < WORKER_COUNT; i++)
		assert_int_equal(http_pool_call(business_pool, wait_for_business_lock, NULL), 0);
	while (hanging_count() < WORKER_COUNT)
		assert_true(clock_monotonic_ns() < end_ns);
	for (size_t i = 0; i < NAME_COUNT; i++)
		for (int debug = 0; debug < 3; debug++) {
			snprintf(target, sizeof(target), "/debug/pprof/%s?debug=%d", names[i],
				debug);
			start_ns = clock_monotonic_ns();
			assert_answer(target, 200, "", "");
			assert_true(clock_monotonic_ns() - start_ns < CLOCK_NS_PER_SEC);
		}
	response = receive(ask("/debug/pprof/threads?debug=1"));
	assert_non_null(strstr(response.data, "thread profile: total "));
	assert_non_null(strstr(response.data, "\n8 @ 0x"));
	strbuf_free(&response);
	pthread_mutex_unlock(&business_lock);
	while (hanging_count() > 0)
		assert_true(clock_monotonic_ns() < end_ns);
}

static int set_up(void **state)
{
	static const struct http_pool_config business_config = {
		.name = "business", .thread_count = WORKER_COUNT, .queue_max = 64};

	(void)state;
	sem_init(&held, 0, 0);
	sem_init(&may_go, 0, 0);
	sem_init(&debug_may_go, 0, 0);
	debug_init();
	assert_int_equal(http_pool_create(&business_config, &business_pool), 0);
	server = plane_create(&debug_threads_pool);
	return http_server_start(server);
}

static int tear_down(void **state)
{
	(void)state;
	plane_stop(server, debug_threads_pool);
	http_pool_stop(business_pool, 1000);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_route_in_every_form),
		cmocka_unit_test(test_nonsense_gets_a_sentence),
		cmocka_unit_test(test_profiles_count_the_threads),
		cmocka_unit_test(test_several_at_once_all_get_theirs),
		cmocka_unit_test(test_a_window_has_who_was_born_in_it),
		cmocka_unit_test(test_windows_are_bounded),
		cmocka_unit_test(test_who_leaves_leaves_nothing_behind),
		cmocka_unit_test(test_it_answers_while_the_program_hangs),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
