/* Sources over real sockets: what is given, and what is not, whatever it is called. */
#include "../http/client.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "desk/source.h"

static char sources[] = "/tmp/sickbay-sources-XXXXXX";
static struct http_server *server;
static struct http_pool *pool;

static int start(void **state)
{
	const struct http_server_config listen = {"127.0.0.1:0", 1, "test"};
	const struct http_pool_config threads = {"page", 1, 8, NULL};
	char command[256];

	(void)state;
	assert_non_null(mkdtemp(sources));
	snprintf(command, sizeof(command),
		"cd %s && mkdir -p services/app outside && "
		"printf 'int main(void)\\n{\\n}\\n' >services/app/main.c && "
		"echo secret >outside/key && echo secret >services/.key && mkfifo services/pipe",
		sources);
	assert_int_equal(system(command), 0);
	assert_int_equal(http_server_create(&listen, &server), 0);
	assert_int_equal(http_pool_create(&threads, &pool), 0);
	source_mount(server, pool, sources);
	assert_int_equal(http_server_start(server), 0);
	return 0;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	http_server_stop(server, 1000);
	http_pool_stop(pool, 1000);
	snprintf(command, sizeof(command), "rm -rf %s", sources);
	return system(command);
}

static void knows_names(void **state)
{
	static const char *const good[] = {"services/a", "services/app/faults/mutex.c",
		"services/app/faults.def", "services/a-b_C/9.h"};
	static const char *const bad[] = {"", "services", "services/", "/services/a", "app/main.c",
		"services/../outside/key", "services/app/../../outside/key", "services/app/..",
		"services/.key", "services//a", "services/app/", "services/a b", "services/a\\b",
		"services/a%2e", "services/\xc3\xa9", "servicesx/a", "services/./a"};
	char name[SOURCE_NAME_BYTES + 1] = "services/";

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!source_is_name(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (source_is_name(bad[i]))
			fail_msg("taken: %s", bad[i]);
	memset(name + 9, 'a', SOURCE_NAME_BYTES - 10);
	assert_true(source_is_name(name));
	name[SOURCE_NAME_BYTES - 1] = 'a';
	assert_false(source_is_name(name));
}

static void gives_a_file(void **state)
{
	struct client_response response;

	(void)state;
	client_get(server, "/source?file=services/app/main.c&line=2", &response);
	assert_int_equal(response.status, 200);
	assert_string_equal(response.body, "int main(void)\n{\n}\n");
	assert_non_null(strstr(response.head, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
	assert_non_null(strstr(response.head, "\r\nx-content-type-options: nosniff\r\n"));
}

static void gives_nothing_else(void **state)
{
	static const struct {
		const char *target;
		int status;
		const char *says;
	} cases[] = {
		{"/source", 400, "file must be a path below services/"},
		{"/source?file=services/app/%2e%2e/%2e%2e/outside/key", 400, "file must be"},
		{"/source?file=%2fetc%2fpasswd", 400, "file must be"},
		{"/source?file=services/.key", 400, "file must be"},
		{"/source?file=services/a%00.c", 400, "file must be"},
		{"/source?file=services/app/none.c", 404,
			"none.c cannot be read among the sources"},
		{"/source?file=services/app/main.c/x", 404, "cannot be read"},
		{"/source?file=services/app", 404, "cannot be read"},
		{"/source?file=services/pipe", 404, "cannot be read"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client_response response;

		client_get(server, cases[i].target, &response);
		if (response.status != cases[i].status || !strstr(response.body, cases[i].says))
			fail_msg("%s: %d %s", cases[i].target, response.status, response.body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_names),
		cmocka_unit_test(gives_a_file),
		cmocka_unit_test(gives_nothing_else),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
