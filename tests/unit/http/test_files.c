/* Static files over real sockets: what is served, and what stays hidden. */
#include "client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWAPPED_ASKS 1000
#define HEADER "\r\nx-test: every answer\r\n"

static char place[] = "/tmp/sickbay-files-XXXXXX", directory[64];
static const char *const headers[] = {"x-test", "every answer", NULL};
static const struct http_files files = {"/f", directory, headers};
static const struct http_files absent = {"/absent", "/nonexistent/directory", NULL};
static struct http_server *server;

static void other(struct http_job *job)
{
	http_reply_text(job, 200, "a route");
}

/* NAME is below the place: "files/..." is served, anything else must not be. */
static void write_file(const char *name, const char *content)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", place, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void make_directory(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", place, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", place, name);
	assert_int_equal(symlink(target, path), 0);
}

static int start(void **state)
{
	static const struct http_route routes[] = {{"/f/*", HTTP_GET, other, NULL},
		{"/", HTTP_GET, other, NULL}, {"/files", HTTP_GET, other, NULL}};
	const struct http_server_config config = {"127.0.0.1:0", 2, "test"};

	(void)state;
	assert_non_null(mkdtemp(place));
	assert_int_equal(chmod(place, 0755), 0);
	snprintf(directory, sizeof(directory), "%s/files", place);
	make_directory("files");
	make_directory("files/sub");
	make_directory("files/empty");
	make_directory("files-beside");
	write_file("secret", "secret");
	write_file("files-beside/secret", "secret");
	write_file("files/index.html", "<p>index</p>");
	write_file("files/sub/index.html", "<p>sub</p>");
	write_file("files/ten", "0123456789");
	write_file("files/none", "");
	write_file("files/a b&c.txt", "odd name");
	write_file("files/module.wasm", "w");
	write_file("files/script.js", "j");
	write_file("files/style.css", "c");
	write_file("files/drawing.svg", "s");
	write_file("files/font.woff2", "f");
	write_file("files/trace.pftrace", "t");
	make_link("../secret", "files/out");
	make_link("../files-beside", "files/beside");
	make_link("ten", "files/inside");
	make_link("loop", "files/loop");
	assert_int_equal(http_server_create(&config, &server), 0);
	http_server_add_files(server, &files);
	http_server_add_files(server, &absent);
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
	assert_int_equal(http_server_start(server), 0);
	return 0;
}

static int stop(void **state)
{
	char command[64];

	(void)state;
	http_server_stop(server, 1000);
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return system(command);
}

/* Sends METHOD TARGET with more LINES of the head. */
static struct client_response ask(const char *method, const char *target, const char *lines)
{
	struct client_response response;
	int fd = client_connect(server);
	char request[512];

	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: t\r\n%s\r\n", method, target,
		lines);
	client_send(fd, request);
	client_receive(fd, strcmp(method, "HEAD") == 0, &response);
	close(fd);
	return response;
}

static void expect(const char *target, int status, const char *body)
{
	struct client_response response = ask("GET", target, "");

	if (response.status != status || (body && strcmp(response.body, body) != 0))
		fail_msg("%s: %d \"%s\"", target, response.status, response.body);
	assert_non_null(strstr(response.head, HEADER));
}

static void expect_head(const struct client_response *response, const char *line)
{
	if (!strcasestr(response->head, line))
		fail_msg("the head has no \"%s\":\n%s", line, response->head);
}

static void serves_files_and_indexes(void **state)
{
	(void)state;
	expect("/f/ten", 200, "0123456789");
	expect("/f/ten?query=1", 200, "0123456789");
	expect("/f/none", 200, "");
	expect("/f/a%20b%26c.txt", 200, "odd name");
	expect("/f/inside", 200, "0123456789");
	expect("/f/", 200, "<p>index</p>");
	expect("/f/sub/", 200, "<p>sub</p>");
	expect("/f/sub/../ten", 200, "0123456789");
}

static void names_their_types(void **state)
{
	static const struct {
		const char *target, *type;
	} cases[] = {
		{"/f/", "text/html"},
		{"/f/module.wasm", "application/wasm"},
		{"/f/script.js", "application/javascript"},
		{"/f/style.css", "text/css"},
		{"/f/drawing.svg", "image/svg+xml"},
		{"/f/font.woff2", "font/woff2"},
		{"/f/trace.pftrace", "application/octet-stream"},
		{"/f/ten", "application/octet-stream"},
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client_response response = ask("GET", cases[i].target, "");

		snprintf(line, sizeof(line), "\r\nContent-Type: %s", cases[i].type);
		expect_head(&response, line);
	}
}

static void hides_what_is_not_below(void **state)
{
	static const char *const targets[] = {"/f/../secret", "/f/%2e%2e/secret", "/f/..%2fsecret",
		"/f/%2e%2e%2fsecret", "/f/sub/..%2f..%2fsecret", "/f/sub/../../secret",
		"/f//../secret", "/f/....//secret", "/f/..\\secret", "/f/../files-beside/secret",
		"/f-beside/secret", "/f/out", "/f/beside/secret", "/f/%2fetc%2fpasswd",
		"/f//etc/passwd", "/f/ten%00.txt", "/f%2f..%2fsecret"};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct client_response response = ask("GET", targets[i], "");

		if (response.status != 404 && response.status != 400)
			fail_msg("%s: %d \"%s\"", targets[i], response.status, response.body);
		assert_null(strstr(response.body, "secret"));
		assert_null(strstr(response.body, "root:"));
	}
}

static void has_no_listing_nor_what_is_missing(void **state)
{
	(void)state;
	expect("/f/missing", 404, "There is no such file.\n");
	expect("/f/missing/", 404, "There is no such file.\n");
	expect("/f/ten/", 404, "There is no such file.\n");
	expect("/f/empty/", 404, "There is no such file.\n");
	expect("/f/loop", 404, "There is no such file.\n");
	assert_int_equal(ask("GET", "/absent/x", "").status, 404);
	assert_int_equal(ask("GET", "/absent/", "").status, 404);
}

static void adds_the_slash_of_a_directory(void **state)
{
	struct client_response response = ask("GET", "/f/sub?a=1", "");

	(void)state;
	assert_int_equal(response.status, 301);
	expect_head(&response, "\r\nLocation: /f/sub/?a=1\r\n");
	expect_head(&response, HEADER);
	response = ask("GET", "/f", "");
	assert_int_equal(response.status, 301);
	expect_head(&response, "\r\nLocation: /f/\r\n");
}

static void opens_no_pipe(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/pipe", directory);
	assert_int_equal(mkfifo(path, 0644), 0);
	expect("/f/pipe", 404, "There is no such file.\n");
}

/* What is swapped for what, again and again: files/NAME and files/OTHER. */
struct swap {
	const char *name, *other;
	atomic_bool ended;
};

static void *swap_again_and_again(void *argument)
{
	struct swap *swap = argument;
	char name[128], other_name[128];

	snprintf(name, sizeof(name), "%s/%s", directory, swap->name);
	snprintf(other_name, sizeof(other_name), "%s/%s", directory, swap->other);
	while (!atomic_load(&swap->ended))
		if (renameat2(AT_FDCWD, name, AT_FDCWD, other_name, RENAME_EXCHANGE) != 0)
			return "rename";
	return NULL;
}

/* Whatever the moment: the file, or none. */
static void ask_while_swapping(const char *name, const char *other)
{
	static struct swap swap; /* the thread may outlive a test that fails */
	struct client_response response;
	size_t served_count = 0, hidden_count = 0;
	int fd = client_connect(server);
	char request[64];
	pthread_t thread;
	void *failed;

	swap = (struct swap){name, other, false};
	snprintf(request, sizeof(request), "GET /f/%s HTTP/1.1\r\nHost: t\r\n\r\n", name);
	assert_int_equal(pthread_create(&thread, NULL, swap_again_and_again, &swap), 0);
	for (int i = 0; i < SWAPPED_ASKS || !served_count || !hidden_count; i++) {
		client_send(fd, request);
		client_receive(fd, false, &response);
		if (response.status == 200)
			assert_string_equal(response.body, "swapped");
		else
			assert_int_equal(response.status, 404);
		*(response.status == 200 ? &served_count : &hidden_count) += 1;
	}
	atomic_store(&swap.ended, true);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	close(fd);
}

static void serves_what_it_looked_at(void **state)
{
	char path[128];

	(void)state;
	write_file("files/file-or-link", "swapped");
	make_link("../secret", "files/link-or-file");
	ask_while_swapping("file-or-link", "link-or-file");
	write_file("files/file-or-pipe", "swapped");
	snprintf(path, sizeof(path), "%s/pipe-or-file", directory);
	assert_int_equal(mkfifo(path, 0644), 0);
	ask_while_swapping("file-or-pipe", "pipe-or-file");
}

static void says_which_files_may_not_be_read(void **state)
{
	uid_t nobody = 65534;
	char path[128];

	(void)state;
	write_file("files/closed", "closed");
	snprintf(path, sizeof(path), "%s/closed", directory);
	assert_int_equal(chmod(path, 0), 0);
	/* Root may read everything; all threads change, the loops too. */
	if (geteuid() == 0)
		assert_int_equal(setresuid(nobody, nobody, 0), 0);
	expect("/f/closed", 403, NULL);
	if (geteuid() == nobody)
		assert_int_equal(setresuid(0, 0, 0), 0);
}

static void answers_head_and_refuses_other_methods(void **state)
{
	struct client_response response = ask("HEAD", "/f/ten", "");

	(void)state;
	assert_int_equal(response.status, 200);
	expect_head(&response, "\r\nContent-Length: 10\r\n");
	assert_int_equal(ask("HEAD", "/f/missing", "").status, 404);
	response = ask("POST", "/f/ten", "Content-Length: 0\r\n");
	assert_int_equal(response.status, 405);
	expect_head(&response, "\r\nAllow: GET, HEAD\r\n");
	expect_head(&response, HEADER);
}

static void serves_ranges(void **state)
{
	struct client_response response = ask("GET", "/f/ten", "Range: bytes=2-4\r\n");

	(void)state;
	assert_int_equal(response.status, 206);
	assert_string_equal(response.body, "234");
	expect_head(&response, "\r\nContent-Range: bytes 2-4/10\r\n");
	assert_string_equal(ask("GET", "/f/ten", "Range: bytes=-3\r\n").body, "789");
	assert_string_equal(ask("GET", "/f/ten", "Range: bytes=8-99\r\n").body, "89");
	response = ask("GET", "/f/ten", "Range: bytes=10-\r\n");
	assert_int_equal(response.status, 416);
	expect_head(&response, HEADER);
	assert_int_equal(ask("GET", "/f/none", "Range: bytes=0-\r\n").status, 416);
	assert_int_equal(ask("GET", "/f/ten", "Range: nonsense\r\n").status, 416);
}

static void knows_what_the_client_has(void **state)
{
	struct client_response response = ask("GET", "/f/ten", "");
	char lines[256], *etag = strcasestr(response.head, "\r\nETag: ");
	int fd = client_connect(server);
	char status[] = "HTTP/1.1 ...";

	(void)state;
	assert_non_null(etag);
	etag += strlen("\r\nETag: ");
	snprintf(lines, sizeof(lines), "GET /f/ten HTTP/1.1\r\nIf-None-Match: %.*s\r\n\r\n",
		(int)strcspn(etag, "\r"), etag);
	client_send(fd, lines);
	/* Not client_receive(): 304 tells no length. */
	assert_int_equal(recv(fd, status, strlen(status), MSG_WAITALL), strlen(status));
	assert_string_equal(status, "HTTP/1.1 304");
	close(fd);
}

/* On one connection: the same loop, which could remember what it saw. */
static void sees_a_file_grow_and_go(void **state)
{
	struct client_response response;
	char path[128], content[8] = "";
	int fd = client_connect(server);

	(void)state;
	for (int i = 0; i < 5; i++) {
		content[i] = (char)('a' + i);
		write_file("files/growing", content);
		client_send(fd, "GET /f/growing HTTP/1.1\r\nHost: t\r\n\r\n");
		client_receive(fd, false, &response);
		assert_int_equal(response.status, 200);
		assert_string_equal(response.body, content);
	}
	snprintf(path, sizeof(path), "%s/growing", directory);
	assert_int_equal(unlink(path), 0);
	client_send(fd, "GET /f/growing HTTP/1.1\r\nHost: t\r\n\r\n");
	client_receive(fd, false, &response);
	assert_int_equal(response.status, 404);
	close(fd);
}

static void leaves_other_paths_to_the_routes(void **state)
{
	(void)state;
	assert_string_equal(ask("GET", "/", "").body, "a route\n");
	assert_string_equal(ask("GET", "/files", "").body, "a route\n");
	assert_int_equal(ask("GET", "/fx", "").status, 404);
}

/* h2o holds a file for as long as it is sent. */
static void closes_what_it_opened(void **state)
{
	size_t before = client_open_fds();

	(void)state;
	for (int i = 0; i < 20; i++) {
		expect("/f/ten", 200, NULL);
		expect("/f/missing", 404, NULL);
		ask("HEAD", "/f/ten", "");
		ask("GET", "/f/ten", "Range: bytes=10-\r\n");
	}
	client_await_fds(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_files_and_indexes),
		cmocka_unit_test(names_their_types),
		cmocka_unit_test(hides_what_is_not_below),
		cmocka_unit_test(has_no_listing_nor_what_is_missing),
		cmocka_unit_test(adds_the_slash_of_a_directory),
		cmocka_unit_test(opens_no_pipe),
		cmocka_unit_test(serves_what_it_looked_at),
		cmocka_unit_test(says_which_files_may_not_be_read),
		cmocka_unit_test(answers_head_and_refuses_other_methods),
		cmocka_unit_test(serves_ranges),
		cmocka_unit_test(knows_what_the_client_has),
		cmocka_unit_test(sees_a_file_grow_and_go),
		cmocka_unit_test(leaves_other_paths_to_the_routes),
		cmocka_unit_test(closes_what_it_opened),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
