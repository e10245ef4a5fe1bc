/* Whom the desk turns away: by name and by page, for routes and for files. */
#include "../http/client.h"

#include <string.h>
#include <unistd.h>

#include "desk/guard.h"

static struct http_server *server;

static int check(const struct http_caller *caller)
{
	const char *sentence = NULL;
	int status = guard_check(caller, &sentence);

	assert_true(!status == !sentence);
	return status;
}

static int get(const char *path, const char *host)
{
	return check(&(struct http_caller){.method = HTTP_GET, .path = path, .host = host});
}

static void its_own_names_may_have_any_port(void **state)
{
	static const char *const own[] = {"localhost", "localhost:8000", "LocalHost:1", "127.0.0.1",
		"127.0.0.1:65535", "[::1]", "[::1]:8000", "desk.example:80", "other.example"};

	(void)state;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (get("/", own[i]) != 0)
			fail_msg("%s was turned away", own[i]);
}

static void other_names_are_turned_away(void **state)
{
	static const char *const others[] = {NULL, "", ":8000", "evil.example",
		"localhost.evil.example", "localhost.", "localhos", "localhost:80x",
		"localhost:80:80", "127.0.0.2", "[::1", "[::1]x", "[::2]", "::1",
		"localhost,127.0.0.1", ",", "desk.example,other.example", "desk", "health",
		"user@localhost", " ", "other.example, third.example"};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (get("/", others[i]) != 421)
			fail_msg("%s was let in", others[i]);
}

static void the_stack_may_look_at_its_health_alone(void **state)
{
	(void)state;
	assert_int_equal(get("/metrics", "desk:8000"), 0);
	assert_int_equal(get("/healthz", "health"), 0);
	assert_int_equal(get("/metrics/", "desk:8000"), 421);
	assert_int_equal(get("/captures/x", "desk:8000"), 421);
	assert_int_equal(get("/metrics", "evil.example"), 421);
}

static int post(const char *host, const char *origin, const char *fetch_site)
{
	return check(&(struct http_caller){
		HTTP_POST, "/patient/goto", host, origin, fetch_site, "cors"});
}

static void only_its_own_pages_may_change_something(void **state)
{
	(void)state;
	assert_int_equal(post("localhost:8000", NULL, "same-origin"), 0);
	assert_int_equal(post("localhost:8000", "http://localhost:8000", NULL), 0);
	assert_int_equal(post("localhost:8000", NULL, NULL), 403);
	assert_int_equal(post("localhost:8000", NULL, "none"), 403);
	assert_int_equal(post("localhost:8000", NULL, "same-site"), 403);
	/* Another port of this machine is another site's, the patient's for one. */
	assert_int_equal(post("localhost:8000", "http://localhost:6060", NULL), 403);
	assert_int_equal(post("localhost:8000", "http://localhost:8000", "same-site"), 403);
	assert_int_equal(post("localhost:8000", "https://localhost:8000", NULL), 403);
	assert_int_equal(post("localhost:8000", "null", NULL), 403);
	assert_int_equal(post("localhost:8000", "", NULL), 403);
	assert_int_equal(post("evil.example", "http://evil.example", "same-origin"), 421);
	assert_int_equal(check(&(struct http_caller){HTTP_POST, "/patient/goto", "localhost:8000",
				 NULL, "cross-site", "navigate"}),
		403);
}

static void other_pages_may_only_lead_here(void **state)
{
	static const struct {
		const char *site, *mode;
		int status;
	} cases[] = {
		{"same-origin", "cors", 0}, {"same-origin", NULL, 0}, {"none", "navigate", 0},
		{"none", "no-cors", 0}, {"cross-site", "navigate", 0}, {"same-site", "navigate", 0},
		{"cross-site", "no-cors", 403}, {"cross-site", "cors", 403},
		{"cross-site", "websocket", 403}, {"cross-site", NULL, 403},
		{"same-site", "no-cors", 403}, /* the patient's page, for one */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct http_caller caller = {HTTP_GET, "/patient/threads", "localhost:8000",
			NULL, cases[i].site, cases[i].mode};

		if (check(&caller) != cases[i].status)
			fail_msg("%s, %s", cases[i].site, cases[i].mode);
	}
	assert_int_equal(check(&(struct http_caller){HTTP_GET, "/favicon.ico", "localhost:8000",
				 NULL, "cross-site", "no-cors"}),
		0);
}

static int ask(const char *request, const char *sentence)
{
	struct client_response response;
	int fd = client_connect(server);

	client_send(fd, request);
	client_receive(fd, false, &response);
	close(fd);
	if (sentence && !strstr(response.body, sentence))
		fail_msg("no \"%s\" in: %s", sentence, response.body);
	return response.status;
}

static void nothing_is_served_around_it(void **state)
{
	(void)state;
	assert_int_equal(ask("GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n", "here"), 200);
	assert_int_equal(ask("GET /files/hub.h HTTP/1.1\r\nHost: localhost\r\n\r\n", "hub:"), 200);
	assert_int_equal(ask("GET /here HTTP/1.1\r\nHost: evil\r\n\r\n", "DESK_HOSTS"), 421);
	assert_int_equal(ask("GET /files/hub.h HTTP/1.1\r\nHost: evil\r\n\r\n", "DESK_HOSTS"), 421);
	assert_int_equal(ask("GET /files HTTP/1.1\r\nHost: evil\r\n\r\n", "DESK_HOSTS"), 421);
	assert_int_equal(ask("GET /nothing HTTP/1.1\r\nHost: evil\r\n\r\n", "DESK_HOSTS"), 421);
	assert_int_equal(ask("GET /here HTTP/1.0\r\n\r\n", "DESK_HOSTS"), 421);
	assert_int_equal(
		ask("GET http://localhost/here HTTP/1.1\r\nHost: localhost\r\n\r\n", NULL), 400);
	assert_int_equal(ask("GET /files/hub.h HTTP/1.1\r\nHost: localhost\r\n"
			     "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n",
				 "may lead to the desk"),
		403);
	assert_int_equal(ask("GET /here HTTP/1.1\r\nHost: localhost\r\n"
			     "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\r\n",
				 "here"),
		200);
	assert_int_equal(ask("POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
				 "Sec-Fetch-Site"),
		403);
	assert_int_equal(
		ask("POST /here HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
		    "Content-Length: 0\r\n\r\n",
			"here"),
		200);
}

static void on_here(struct http_job *job)
{
	http_reply_text(job, 200, "here");
}

static int start(void **state)
{
	static const struct http_server_config config = {"127.0.0.1:0", 1, "test"};
	static const struct http_route route = {"/here", HTTP_GET | HTTP_POST, on_here, NULL};
	static const struct http_files files = {"/files", "services/desk", NULL};

	(void)state;
	assert_int_equal(http_server_create(&config, &server), 0);
	guard_mount(server, "desk.example,other.example, third.example fourth.example");
	http_server_add_files(server, &files);
	http_server_add_routes(server, &route, 1);
	return http_server_start(server);
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 1000);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_own_names_may_have_any_port),
		cmocka_unit_test(other_names_are_turned_away),
		cmocka_unit_test(the_stack_may_look_at_its_health_alone),
		cmocka_unit_test(only_its_own_pages_may_change_something),
		cmocka_unit_test(other_pages_may_only_lead_here),
		cmocka_unit_test(nothing_is_served_around_it),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
