/* What a container's health check is told. */
#include "client.h"

#include <errno.h>
#include <stdio.h>

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
		cmocka_unit_test(refuses_malformed_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
