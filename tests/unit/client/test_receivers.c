/* Responses whose body is not at its end: their threads, what they keep, and how they are ended. */
#include "../support/peer.h"
#include "../support/test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/client.h"
#include "common/clock.h"
#include "debug/internal.h"
#include "probe/thread.h"

#define HASTE_MS 1000
#define LOOK_MS 200
#define LONG_BYTES ((size_t)32 << 20)

static struct peer peer;

static struct client *new_client(unsigned idle_max, unsigned answer_timeout_ms)
{
	struct client *client = NULL;
	struct client_config config = {
		.base_url = peer.url, .idle_max = idle_max, .answer_timeout_ms = answer_timeout_ms};

	assert_int_equal(client_create(&config, &client), 0);
	return client;
}

static struct client_response *open_path(struct client *client, const char *path)
{
	struct client_response *response;
	struct client_error error = {""};

	if (client_open(client, path, &response, &error) != 0)
		fail_msg("%s: %s", path, error.text);
	return response;
}

static size_t read_number(struct client *client, const char *path)
{
	struct client_response *response = open_path(client, path);
	char text[32] = "";

	assert_true(client_read(response, text, sizeof(text) - 1) > 0);
	assert_int_equal(client_read(response, text, 1), 0);
	client_close(response);
	return strtoul(text, NULL, 10);
}

/* ---- threads ---- */

static int64_t receiver_count(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int64_t count = 0;

	assert_non_null(tasks);
	for (const struct dirent *entry; (entry = readdir(tasks));) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		count += fgets(name, sizeof(name), file) && strncmp(name, "recv-", 5) == 0;
		fclose(file);
	}
	closedir(tasks);
	return count;
}

/* Its name comes a moment after a thread, and /proc keeps one a moment after its join. */
static void await_receivers(int64_t wanted)
{
	int64_t end_ns = clock_monotonic_ns() + 2 * CLOCK_NS_PER_SEC;

	while (receiver_count() != wanted && clock_monotonic_ns() < end_ns)
		sched_yield();
	assert_int_equal(receiver_count(), wanted);
}

/* Of any name. There may be fewer: one that the test before had joined is gone by now. */
static void await_no_more_threads_than(int64_t wanted)
{
	int64_t end_ns = clock_monotonic_ns() + 2 * CLOCK_NS_PER_SEC;

	while (process_thread_count() > wanted && clock_monotonic_ns() < end_ns)
		sched_yield();
	assert_in_range(process_thread_count(), 1, wanted);
}

static void only_a_body_without_an_end_has_a_thread(void **state)
{
	struct client *client = new_client(8, 0);
	struct client_response *ended = open_path(client, "/events?limit=1"),
			       *endless = open_path(client, "/events");

	(void)state;
	await_receivers(1);
	client_close(ended);
	client_close(endless);
	await_receivers(0);
	client_free(client);
}

static void what_is_forgotten_is_kept_until_it_is_closed(void **state)
{
	int64_t fds = process_fd_count(), threads = process_thread_count(), begin_ns;
	struct client *client = new_client(8, 0);
	struct client_response *responses[50];

	(void)state;
	for (int i = 0; i < 50; i++)
		responses[i] = open_path(client, "/events");
	await_receivers(50);
	assert_int_equal(process_thread_count(), threads + 50);
	assert_int_equal(process_fd_count(), fds + 3 * 50);
	assert_int_equal(client_connection_count(), 50);
	begin_ns = clock_monotonic_ns();
	for (int i = 0; i < 50; i++)
		client_close(responses[i]);
	assert_true(clock_monotonic_ns() - begin_ns < CLOCK_NS_PER_SEC);
	await_receivers(0);
	assert_int_equal(client_connection_count(), 0);
	client_free(client);
	assert_int_equal(process_fd_count(), fds);
}

/* ---- the body ---- */

/* It stops the server, not the reader. */
static void await_that_the_server_is_stopped(struct client *client)
{
	int64_t end_ns = clock_monotonic_ns() + LOOK_MS * CLOCK_NS_PER_MS;

	while (clock_monotonic_ns() < end_ns)
		assert_true(read_number(client, "/sent") < LONG_BYTES / 2);
}

static void a_long_body_comes_no_faster_than_it_is_read(void **state)
{
	struct client *client = new_client(2, 0);
	char path[64], part[10000];
	struct client_response *response;
	size_t at = 0;
	ssize_t count;

	(void)state;
	snprintf(path, sizeof(path), "/bytes?%zu", LONG_BYTES);
	response = open_path(client, path);
	await_that_the_server_is_stopped(client);
	while ((count = client_read(response, part, sizeof(part))) > 0)
		for (ssize_t i = 0; i < count; i++, at++)
			if (part[i] != (char)(at % 251))
				fail_msg("byte %zu is %d", at, part[i]);
	assert_int_equal(count, 0);
	assert_int_equal(at, LONG_BYTES);
	client_close(response);
	assert_int_equal(client_connection_count(), 2);
	client_free(client);
}

static void a_body_that_is_full_can_be_left(void **state)
{
	struct client *client = new_client(1, 0);
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/bytes?%zu", LONG_BYTES);
	client_close(open_path(client, path));
	assert_int_equal(client_connection_count(), 0);
	client_free(client);
}

static void nobody_waits_for_more_for_ever(void **state)
{
	struct client *client = new_client(1, HASTE_MS);
	struct client_response *response = open_path(client, "/events");
	char text[64];

	(void)state;
	assert_true(client_read(response, text, sizeof(text)) > 0);
	assert_memory_equal(text, "data: {\"id\":", 12);
	assert_int_equal(client_read(response, text, sizeof(text)), -ETIMEDOUT);
	client_close(response);
	client_free(client);
}

/* ---- the client's end ---- */

struct call {
	struct client *client;
	const char *path;
	ssize_t outcome;
};

static void *call_main(void *context)
{
	struct call *call = context;
	struct client_response *response;
	char byte;

	call->outcome = client_open(call->client, call->path, &response, NULL);
	if (call->outcome)
		return NULL;
	do
		call->outcome = client_read(response, &byte, 1);
	while (call->outcome > 0);
	client_close(response);
	return NULL;
}

static void what_is_under_way_ends_with_the_client(void **state)
{
	struct client *client = new_client(1, 60000);
	struct call calls[2] = {{client, "/late", 0}, {client, "/events", 0}};
	struct client_response *response = open_path(client, "/events");
	pthread_t threads[2];
	int64_t begin_ns;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_main, &calls[i]), 0);
	await_receivers(2);
	begin_ns = clock_monotonic_ns();
	client_stop(client);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(clock_monotonic_ns() - begin_ns < CLOCK_NS_PER_SEC);
	assert_int_equal(calls[0].outcome, -ECANCELED);
	assert_int_equal(calls[1].outcome, -ECANCELED);
	client_close(response);
	assert_int_equal(client_open(client, "/empty", &response, NULL), -ECANCELED);
	client_free(client);
	assert_int_equal(client_connection_count(), 0);
}

/* ---- many at once ---- */

#define CALLERS 8
#define CALLS 25

static atomic_int failed_count;

static void *many_main(void *context)
{
	static const char *const paths[] = {
		"/connection", "/events?limit=1", "/bytes?100000", "/quits", "/nothing-here"};
	struct call call = {.client = context};

	for (int i = 0; i < CALLS; i++) {
		call.path = paths[i % 5];
		call_main(&call);
		if (call.outcome != 0)
			atomic_fetch_add(&failed_count, 1);
	}
	return NULL;
}

static void many_ask_at_once(void **state)
{
	int64_t fds = process_fd_count(), threads = process_thread_count();
	struct client *client = new_client(4, 0);
	pthread_t callers[CALLERS];

	(void)state;
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&callers[i], NULL, many_main, client), 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	assert_int_equal(atomic_load(&failed_count), 0);
	assert_in_range(client_connection_count(), 1, 4);
	await_receivers(0);
	client_free(client);
	assert_int_equal(client_connection_count(), 0);
	assert_int_equal(process_fd_count(), fds);
	await_no_more_threads_than(threads);
}

static uint64_t birth_count;

static void count_birth(struct probe_thread *thread)
{
	(void)thread;
	birth_count++;
}

/* A lookup takes a thread: one for all that ask within seconds. */
static void a_name_is_looked_up_once(void **state)
{
	static const struct probe_thread_listener births = {.on_start = count_birth};
	char name[65] = "", url[80];
	const struct client_config config = {.base_url = url};
	struct client_response *response;
	struct client *client;

	(void)state;
	assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
	snprintf(url, sizeof(url), "http://%s:1", name);
	probe_thread_subscribe(&births);
	assert_int_equal(client_create(&config, &client), 0);
	/* That nobody answers there is no matter. */
	if (client_open(client, "/", &response, NULL) != -ECONNREFUSED)
		skip();
	assert_int_equal(birth_count, 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(client_open(client, "/", &response, NULL), -ECONNREFUSED);
	assert_int_equal(birth_count, 1);
	client_free(client);
}

static int start(void **state)
{
	(void)state;
	peer = peer_start();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	peer_stop(&peer);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_body_without_an_end_has_a_thread),
		cmocka_unit_test(what_is_forgotten_is_kept_until_it_is_closed),
		cmocka_unit_test(a_long_body_comes_no_faster_than_it_is_read),
		cmocka_unit_test(a_body_that_is_full_can_be_left),
		cmocka_unit_test(nobody_waits_for_more_for_ever),
		cmocka_unit_test(what_is_under_way_ends_with_the_client),
		cmocka_unit_test(many_ask_at_once),
		cmocka_unit_test(a_name_is_looked_up_once),
	};

	if (argc > 1 && strcmp(argv[0], PEER_NAME) == 0)
		return peer_main();
	return cmocka_run_group_tests(tests, start, stop);
}
