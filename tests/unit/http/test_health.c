/* What a container's health check is told. */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "http/health.h"

static int status = 200;

static void healthz(struct http_job *job)
{
	http_reply_text(job, status, "as told");
}

static const struct http_route route = {"/healthz", HTTP_GET, healthz, NULL};

static int ask(const char *host, const struct http_server *server)
{
	char listen[32];

	snprintf(listen, sizeof(listen), "%s:%u", host, http_server_port(server));
	return health_check(listen);
}

static void tells_well_from_ill(void **state)
{
	struct http_server *server = client_serve(&route, 1, 1);
	char gone[32];

	(void)state;
	assert_int_equal(ask("127.0.0.1", server), 0);
	assert_int_equal(ask("0.0.0.0", server), 0);
	assert_int_equal(ask("", server), 0);
	status = 500;
	assert_int_equal(ask("127.0.0.1", server), -EBADMSG);
	snprintf(gone, sizeof(gone), ":%u", http_server_port(server));
	http_server_stop(server, 1000);
	assert_int_equal(health_check(gone), -ECONNREFUSED);
}

/* Until a connection to PORT is on its way that the kernel does not let in yet. */
static void await_connecting(unsigned port)
{
	const int64_t until_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;
	const unsigned syn_sent = 2;
	bool seen = false;

	while (!seen) {
		FILE *sockets = fopen("/proc/net/tcp", "r");
		unsigned remote, socket_state;
		char line[256];

		assert_non_null(sockets);
		while (!seen && fgets(line, sizeof(line), sockets))
			seen = sscanf(line, " %*[^:]: %*s %*[^:]:%x %x", &remote, &socket_state) ==
				       2 &&
			       remote == port && socket_state == syn_sent;
		fclose(sockets);
		assert_true(clock_monotonic_ns() < until_ns);
	}
}

struct slow {
	int listener;
	unsigned port;
};

/* Lets the second connection wait for the first to be taken: the kernel tries again after 1 s. */
static void *take_late(void *argument)
{
	struct slow *slow = argument;

	await_connecting(slow->port);
	return (void *)(intptr_t)accept(slow->listener, NULL, NULL);
}

/* The connection takes 1 s, and then there is no answer. */
static void has_one_time_limit_for_all(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct slow slow = {.listener = socket(AF_INET, SOCK_STREAM, 0)};
	int first = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len_bytes = sizeof(address);
	int64_t begin_ns, took_ns;
	char listen_on[32];
	pthread_t thread;
	void *taken;

	(void)state;
	assert_int_equal(bind(slow.listener, (struct sockaddr *)&address, len_bytes), 0);
	assert_int_equal(listen(slow.listener, 0), 0); /* one may wait */
	assert_int_equal(getsockname(slow.listener, (struct sockaddr *)&address, &len_bytes), 0);
	assert_int_equal(connect(first, (struct sockaddr *)&address, len_bytes), 0);
	slow.port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&thread, NULL, take_late, &slow), 0);
	snprintf(listen_on, sizeof(listen_on), ":%u", slow.port);
	begin_ns = clock_monotonic_ns();
	assert_int_equal(health_check(listen_on), -EAGAIN);
	took_ns = clock_monotonic_ns() - begin_ns;
	assert_in_range(took_ns, 1400 * CLOCK_NS_PER_MS, 2000 * CLOCK_NS_PER_MS);
	assert_int_equal(pthread_join(thread, &taken), 0);
	close((int)(intptr_t)taken);
	close(first);
	close(slow.listener);
}

static void refuses_malformed_addresses(void **state)
{
	(void)state;
	assert_int_equal(health_check("8000"), -EINVAL);
	assert_int_equal(health_check("localhost:8000"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_well_from_ill),
		cmocka_unit_test(has_one_time_limit_for_all),
		cmocka_unit_test(refuses_malformed_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
