/* What a client makes of each answer, and which connections it keeps. */
#include "../support/peer.h"
#include "../support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/client.h"
#include "common/clock.h"
#include "debug/internal.h"

#define SHORT_MS 200

static struct peer peer;

static struct client *new_hasty_client(const char *url, unsigned timeout_ms)
{
	struct client *client = NULL;
	struct client_config config = {.base_url = url,
		.idle_max = 1,
		.connect_timeout_ms = timeout_ms,
		.answer_timeout_ms = timeout_ms};

	assert_int_equal(client_create(&config, &client), 0);
	return client;
}

static struct client *new_client(const char *url, unsigned idle_max)
{
	struct client *client = NULL;
	struct client_config config = {.base_url = url, .idle_max = idle_max};

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

/* To its end, whose sign it returns. */
static ssize_t read_all(struct client_response *response, char *text, size_t size_bytes)
{
	size_t length_bytes = 0;
	ssize_t count;

	while ((count = client_read(response, text + length_bytes, size_bytes - length_bytes - 1)) >
		0)
		length_bytes += (size_t)count;
	text[length_bytes] = '\0';
	return count;
}

static void expect(struct client *client, const char *path, int status, const char *body)
{
	struct client_response *response = open_path(client, path);
	char text[256];

	assert_int_equal(client_status(response), status);
	assert_int_equal(read_all(response, text, sizeof(text)), 0);
	assert_string_equal(text, body);
	client_close(response);
}

static void expect_error(struct client *client, const char *path, int err, const char *text)
{
	struct client_error error = {""};
	struct client_response *response;

	assert_int_equal(client_open(client, path, &response, &error), err);
	assert_non_null(strstr(error.text, text));
	assert_int_equal(client_open(client, path, &response, NULL), err);
	assert_int_equal(client_connection_count(), 0);
	client_free(client);
}

/* The number that the peer gave to the connection. */
static long connection_number(struct client *client)
{
	struct client_response *response = open_path(client, "/connection");
	char text[32];

	assert_int_equal(read_all(response, text, sizeof(text)), 0);
	client_close(response);
	return strtol(text, NULL, 10);
}

/* ---- connections that are kept ---- */

static void a_connection_is_used_again(void **state)
{
	struct client *client = new_client(peer.url, 1);
	long number = connection_number(client);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(connection_number(client), number);
	assert_int_equal(client_connection_count(), 1);
	client_free(client);
	assert_int_equal(client_connection_count(), 0);
}

static void no_more_are_kept_than_was_said(void **state)
{
	struct client *client = new_client(peer.url, 2), *other = new_client(peer.url, 0);
	struct client_response *responses[4];
	long number;

	(void)state;
	for (int i = 0; i < 4; i++)
		responses[i] = open_path(client, "/connection");
	assert_int_equal(client_connection_count(), 4);
	for (int i = 0; i < 4; i++)
		client_close(responses[i]);
	assert_int_equal(client_connection_count(), 2);
	client_free(client);

	number = connection_number(other);
	assert_int_equal(client_connection_count(), 0);
	assert_int_not_equal(connection_number(other), number);
	client_free(other);
}

static void what_the_server_closed_is_not_kept(void **state)
{
	struct client *client = new_client(peer.url, 1);

	(void)state;
	expect(client, "/last", 200, "last");
	assert_int_equal(client_connection_count(), 0);
	/* Here it does not say so: the next request finds out. */
	for (int i = 0; i < 20; i++)
		expect(client, "/quits", 200, "quits");
	client_free(client);
}

static void an_end_that_did_not_come_closes_the_connection(void **state)
{
	struct client *client = new_client(peer.url, 1);
	struct client_response *response = open_path(client, "/events");

	(void)state;
	client_close(response);
	assert_int_equal(client_connection_count(), 0);
	client_free(client);
}

/* ---- answers ---- */

static void any_status_is_an_answer(void **state)
{
	struct client *client = new_client(peer.url, 1);

	(void)state;
	expect(client, "/nothing-here", 404, "none");
	expect(client, "/empty", 200, "");
	assert_int_equal(client_connection_count(), 1);
	client_free(client);
}

static void a_body_that_is_cut_ends_with_an_error(void **state)
{
	struct client *client = new_client(peer.url, 1);
	struct client_response *response = open_path(client, "/cut");
	char text[32];

	(void)state;
	assert_int_equal(read_all(response, text, sizeof(text)), -ECONNRESET);
	assert_string_equal(text, "0123456789");
	client_close(response);
	assert_int_equal(client_connection_count(), 0);
	client_free(client);
}

static void the_environment_has_no_say(void **state)
{
	struct client *client;

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	client = new_client(peer.url, 1);
	expect(client, "/last", 200, "last");
	client_free(client);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

/* ---- no answer ---- */

static void only_a_base_url_will_do(void **state)
{
	static const char *const urls[] = {"", "http://", "upstream:8080", "https://upstream:8080",
		"file:///etc/passwd", "http://upstream:8080/", "http://upstream:8080/feed"};
	struct client *client;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		assert_int_equal(
			client_create(&(struct client_config){.base_url = urls[i]}, &client),
			-EINVAL);
}

static void every_failure_has_its_word(void **state)
{
	struct client *client = new_hasty_client(peer.url, SHORT_MS);

	(void)state;
	connection_number(client);
	expect_error(client, "/late", -ETIMEDOUT, ": connection timed out"); /* on an old one */
	expect_error(new_client("http://127.0.0.1:1", 1), "/", -ECONNREFUSED,
		"127.0.0.1:1: connection refused");
	expect_error(new_client(peer.url, 1), "/garbage", -EPROTO, ": protocol error");
	expect_error(new_hasty_client(peer.url, SHORT_MS), "/late", -ETIMEDOUT,
		": connection timed out");
	expect_error(new_hasty_client(peer.url, SHORT_MS), "/head", -ETIMEDOUT,
		": connection timed out");
	/* No name has so long a part: nobody is asked. */
	expect_error(
		new_client(
			"http://a123456789b123456789c123456789d123456789e123456789f123456789.invalid",
			1),
		"/", -ENXIO, ".invalid: no such device or address");
}

static int connect_in_passing(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* A listener whose queue is full does not answer at all. */
static void nobody_waits_for_a_connection_for_ever(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fds[3], listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t address_bytes = sizeof(address);
	char url[64];

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, address_bytes), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
	for (int i = 0; i < 3; i++)
		fds[i] = connect_in_passing(&address);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(address.sin_port));
	expect_error(new_hasty_client(url, SHORT_MS), "/", -EHOSTUNREACH, ": no route to host");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(listener);
}

/* ---- limits ---- */

static void leave_descriptors(rlim_t count)
{
	struct rlimit limit;
	int first_free = dup(STDOUT_FILENO);

	close(first_free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)first_free + count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Whichever of its descriptors it is that cannot be had. */
static void without_descriptors_it_says_so(const char *url, rlim_t enough_count)
{
	struct rlimit limit;
	int64_t fds = process_fd_count();

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t count = 0; count <= enough_count; count++) {
		struct client *client = new_client(url, 1);
		struct client_response *response;
		int err;

		leave_descriptors(count);
		err = client_open(client, "/events", &response, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(err, count < enough_count ? -EMFILE : 0);
		if (!err)
			client_close(response);
		client_free(client);
	}
	assert_int_equal(process_fd_count(), fds);
}

static void a_response_takes_three_descriptors(void **state)
{
	(void)state;
	without_descriptors_it_says_so(peer.url, 3);
}

static rlim_t address_space_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* What is looked up needs a thread: its stack has no room any more. */
static void without_threads_it_says_so(void **state)
{
	struct rlimit limit, low;
	struct client *client = new_client("http://sickbay.invalid", 1);
	struct client_response *response;
	int err;

	(void)state;
#ifdef SICKBAY_SAN
	client_free(client);
	skip(); /* a sanitizer needs room itself */
#endif
	assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
	low = limit;
	low.rlim_cur = address_space_bytes() + (1 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
	err = client_open(client, "/events", &response, NULL);
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	assert_int_equal(err, -EAGAIN);
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
		/* First: later there are stacks of threads that have ended, to be used again. */
		cmocka_unit_test(without_threads_it_says_so),
		cmocka_unit_test(a_connection_is_used_again),
		cmocka_unit_test(no_more_are_kept_than_was_said),
		cmocka_unit_test(what_the_server_closed_is_not_kept),
		cmocka_unit_test(an_end_that_did_not_come_closes_the_connection),
		cmocka_unit_test(any_status_is_an_answer),
		cmocka_unit_test(a_body_that_is_cut_ends_with_an_error),
		cmocka_unit_test(the_environment_has_no_say),
		cmocka_unit_test(only_a_base_url_will_do),
		cmocka_unit_test(every_failure_has_its_word),
		cmocka_unit_test(nobody_waits_for_a_connection_for_ever),
		cmocka_unit_test(a_response_takes_three_descriptors),
	};

	if (argc > 1 && strcmp(argv[0], PEER_NAME) == 0)
		return peer_main();
	return cmocka_run_group_tests(tests, start, stop);
}
