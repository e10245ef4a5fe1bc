/* pprof's pages below the desk's address, over real sockets, by the real pprof. */
#include "../http/streams.h"
#include "captured.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "desk/pprof.h"
#include "desk/pprof_routes.h"
#include "probe/modules.h"

/* Word for word: a word more is a hole. */
#define POLICY                                                                              \
	"\r\ncontent-security-policy: sandbox allow-scripts allow-downloads allow-popups; " \
	"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "       \
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"

static char captures[] = "/tmp/sickbay-pprof-XXXXXX";
static struct http_server *server;
static struct http_pool *pool;

static int start(void **state)
{
	const struct http_server_config listen = {"127.0.0.1:0", 1, "test"};
	const struct http_pool_config threads = {"pprof", PPROF_SESSIONS_MAX, 8, NULL};
	char path[64];
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(captures));
	captured_write_profile(captures, "a.pb.gz", 12);
	captured_write_profile(captures, "b.pb.gz", 15);
	snprintf(path, sizeof(path), "%s/text.pb.gz", captures);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("no profile\n", file);
	fclose(file);
	pprof_init(
		&(struct pprof_config){.program = "pprof", .captures = captures, .sources = "."});
	assert_int_equal(http_server_create(&listen, &server), 0);
	assert_int_equal(http_pool_create(&threads, &pool), 0);
	pprof_routes_mount(server, pool);
	return http_server_start(server);
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	http_server_stop(server, 1000);
	pprof_stop();
	http_pool_stop(pool, 1000);
	snprintf(command, sizeof(command), "rm -rf %s", captures);
	return system(command);
}

static void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

/* The answers are longer than a client_response has room for. */
static void expect_page(const char *target, const char *part)
{
	static char page[256 * 1024];
	int fd = client_connect(server);
	char request[256];

	snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", target);
	client_send(fd, request);
	streams_read_rest(fd, page, sizeof(page));
	close(fd);
	expect_in(page, " 200 OK");
	expect_in(page, POLICY);
	expect_in(page, part);
}

static void expect_refusal(const char *target, int status, const char *part)
{
	struct client_response response;

	client_get(server, target, &response);
	if (response.status != status)
		fail_msg("%s: %d %s", target, response.status, response.body);
	expect_in(response.body, part);
	expect_in(response.head, POLICY);
}

static void passes_pages_on(void **state)
{
	(void)state;
	expect_page("/pprof/a.pb.gz/flamegraph", "do_business");
	expect_page("/pprof/a.pb.gz/top?si=cpu", "12s");
	expect_page("/pprof/a.pb.gz/source?f=do_business", "what the Source view shows");
	expect_page("/pprof/b.pb.gz..a.pb.gz/top", "3s");
	expect_page("/pprof/a.pb.gz/flamegraph", "\r\nContent-Type: text/html; charset=utf-8\r\n");
	expect_page("/pprof/a.pb.gz/download", "\r\nContent-Type: application/octet-stream\r\n");
	expect_page("/pprof/a.pb.gz/download", "\r\ncontent-disposition: attachment;");
}

static void passes_words_on(void **state)
{
	(void)state;
	expect_refusal("/pprof/text.pb.gz/top", 422, "unrecognized profile format");
	expect_refusal("/pprof/a.pb.gz/top?f=(", 422, "pprof says: ");
	expect_refusal("/pprof/missing.pb.gz/top", 404, "There is no capture missing.pb.gz");
	expect_refusal("/pprof/a.pb.gz..missing.pb.gz/top", 404, "There is no capture missing");
}

static void knows_its_pages(void **state)
{
	static const char *const targets[] = {"/pprof/", "/pprof/a.pb.gz", "/pprof/a.pb.gz/other",
		"/pprof/a.pb.gz/top/", "/pprof/..a.pb.gz/top", "/pprof/a.pb.gz../top",
		"/pprof/a.pb.gz..b.pb.gz..a.pb.gz/top", "/pprof/.gitkeep/top",
		"/pprof/%2e%2e%2fx/top", "/pprof/a%20b/top", "/pprof/-http=:1/top",
		"/pprof/a.pb.gz/saveconfig"};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct client_response response;

		client_get(server, targets[i], &response);
		if (response.status != 404)
			fail_msg("%s: %d %s", targets[i], response.status, response.body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_pages_on),
		cmocka_unit_test(passes_words_on),
		cmocka_unit_test(knows_its_pages),
	};

	if (modules_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, start, stop);
}
