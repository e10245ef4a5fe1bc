/* The desk's pages over real sockets, and what lies behind them. */
#include "../http/client.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "desk/captures.h"
#include "desk/pages.h"

/* Word for word: a source more is a hole. */
#define PAGE_POLICY                                                                               \
	"\r\ncontent-security-policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; " \
	"style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "            \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
#define CAPTURE_POLICY "\r\ncontent-security-policy: sandbox; default-src 'none'\r\n"
#define NO_SNIFFING "\r\nx-content-type-options: nosniff\r\n"

static char captures[] = "/tmp/sickbay-captures-XXXXXX";
static char www[] = "services/desk/www"; /* what it names may change, not the name */
static struct http_server *server;

static void write_capture(const char *name, size_t len_bytes, time_t modified)
{
	const struct timespec times[2] = {{modified, 0}, {modified, 0}};
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", captures, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len_bytes), 0);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static int empty(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s && mkdir %s", captures, captures);
	return system(command);
}

static int start(void **state)
{
	static const struct pages_config config = {
		captures, www, "/nonexistent", "/nonexistent", "{\"8000\": 20010}"};
	const struct http_server_config listen = {"127.0.0.1:0", 1, "test"};

	(void)state;
	assert_non_null(mkdtemp(captures));
	assert_int_equal(http_server_create(&listen, &server), 0);
	pages_mount(server, &config);
	assert_int_equal(http_server_start(server), 0);
	return 0;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	http_server_stop(server, 1000);
	snprintf(command, sizeof(command), "rm -rf %s", captures);
	return system(command);
}

static struct client_response get(const char *target)
{
	struct client_response response;

	client_get(server, target, &response);
	return response;
}

static void expect_in(const char *text, const char *wanted)
{
	if (!strstr(text, wanted))
		fail_msg("no \"%s\" in:\n%s", wanted, text);
}

static void lists_the_newest_first(void **state)
{
	struct capture *list;
	size_t count, hidden_count;

	(void)state;
	write_capture("b.pftrace", 10, 1000);
	write_capture("a.pftrace", 10, 1000);
	write_capture("new.pb.gz", 12345, 3000);
	assert_int_equal(captures_list(captures, &list, &count, &hidden_count), 0);
	assert_int_equal(count, 3);
	assert_string_equal(list[0].name, "new.pb.gz");
	assert_int_equal(list[0].size_bytes, 12345);
	assert_string_equal(list[1].name, "a.pftrace");
	assert_string_equal(list[2].name, "b.pftrace");
	free(list);
}

static void shows_only_plain_names(void **state)
{
	static const char *const odd[] = {".gitkeep", "<script>", "a b", "quote\"", "per%cent",
		"новый", "semi;colon", "line\nbreak"};
	char long_name[CAPTURE_NAME_BYTES + 1];
	struct capture *list;
	size_t count, hidden_count;

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		write_capture(odd[i], 1, 1000);
	memset(long_name, 'x', CAPTURE_NAME_BYTES);
	long_name[CAPTURE_NAME_BYTES] = '\0';
	write_capture(long_name, 1, 1000);
	long_name[CAPTURE_NAME_BYTES - 1] = '\0';
	write_capture(long_name, 1, 1000);
	assert_int_equal(captures_list(captures, &list, &count, &hidden_count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(hidden_count, 8); /* not ".gitkeep" */
	assert_string_equal(list[0].name, long_name);
	free(list);
}

static void leaves_out_what_is_no_file(void **state)
{
	struct capture *list;
	char path[64];
	size_t count, hidden_count;

	(void)state;
	snprintf(path, sizeof(path), "%s/directory", captures);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/link", captures);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(captures_list(captures, &list, &count, &hidden_count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(hidden_count, 0);
	free(list);
}

static void pages_are_those_of_the_folder(void **state)
{
	static const struct {
		const char *target, *file;
	} pages[] = {
		{"/", "services/desk/www/index.html"},
		{"/threads.html", "services/desk/www/threads.html"},
		{"/source.html?file=services/app/main.c", "services/desk/www/source.html"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct client_response response = get(pages[i].target);
		struct strbuf wanted = STRBUF_INIT;

		assert_int_equal(strbuf_read_file(&wanted, pages[i].file, 1 << 16), 0);
		assert_int_equal(response.status, 200);
		expect_in(response.head, "\r\nContent-Type: text/html; charset=utf-8\r\n");
		expect_in(response.head, PAGE_POLICY);
		expect_in(response.head, NO_SNIFFING);
		assert_string_equal(response.body, wanted.data);
		strbuf_free(&wanted);
	}
}

static void page_that_cannot_be_read_says_where_it_should_be(void **state)
{
	struct client_response response;

	(void)state;
	www[0] = 'x';
	response = get("/");
	www[0] = 's';
	assert_int_equal(response.status, 500);
	expect_in(response.body, "xervices/desk/www/index.html cannot be read: No such file");
	expect_in(response.head, PAGE_POLICY);
}

static void ports_are_those_it_was_given(void **state)
{
	struct client_response response = get("/ports");

	(void)state;
	assert_int_equal(response.status, 200);
	expect_in(response.head, "\r\nContent-Type: application/json\r\n");
	assert_string_equal(response.body, "{\"8000\": 20010}");
}

/* What a learner wrote must not act as a page of the desk's. */
static void captures_are_no_pages(void **state)
{
	static const char *const targets[] = {"/captures/page.html", "/captures/missing.html"};

	(void)state;
	write_capture("page.html", 10, 1000);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct client_response response = get(targets[i]);

		assert_int_equal(response.status, i ? 404 : 200);
		expect_in(response.head, CAPTURE_POLICY);
		expect_in(response.head, "\r\ncontent-disposition: attachment\r\n");
		expect_in(response.head, NO_SNIFFING);
	}
}

static void serves_the_viewer_without_its_engine(void **state)
{
	struct client_response response = get("/viewer/?url=/captures/x.pftrace");

	(void)state;
	assert_int_equal(response.status, 200);
	expect_in(response.body, "viewer.js");
	expect_in(response.head, PAGE_POLICY);
	assert_int_equal(get("/viewer/viewer.js").status, 200);
	assert_int_equal(get("/assets/handover.js").status, 200);
	response = get("/viewer/perfetto/frontend_bundle.js");
	assert_int_equal(response.status, 404);
	expect_in(response.head, PAGE_POLICY);
	expect_in(response.head, NO_SNIFFING);
}

#define TEST(name) cmocka_unit_test_setup(name, empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_the_newest_first),
		TEST(shows_only_plain_names),
		TEST(leaves_out_what_is_no_file),
		TEST(pages_are_those_of_the_folder),
		TEST(page_that_cannot_be_read_says_where_it_should_be),
		TEST(ports_are_those_it_was_given),
		TEST(captures_are_no_pages),
		TEST(serves_the_viewer_without_its_engine),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
