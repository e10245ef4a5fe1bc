#include "capture_desk.h"

#include <string.h>

#include "desk/capture_news.h"
#include "desk/capture_routes.h"
#include "desk/hub.h"

#define STOP_MS 1000

struct http_server *capture_desk_start(const struct capture_store *store, const char *patient,
	const char *recorder, struct http_pool **pool)
{
	const struct http_server_config listen = {"127.0.0.1:0", 1, "test"};
	const struct http_pool_config threads = {"page", 1, 8, NULL};
	const struct capture_taker_config taker = {patient, recorder, store, capture_news_tell_end};
	struct http_server *server;

	assert_int_equal(http_server_create(&listen, &server), 0);
	assert_int_equal(http_pool_create(&threads, pool), 0);
	hub_mount(server, HUB_STALL_MS);
	capture_routes_mount(server, *pool, store);
	assert_int_equal(capture_taker_start(&taker), 0);
	assert_int_equal(capture_news_start(store), 0);
	assert_int_equal(http_server_start(server), 0);
	return server;
}

void capture_desk_stop(struct http_server *server, struct http_pool *pool)
{
	hub_stop();
	http_server_stop(server, STOP_MS);
	capture_taker_stop();
	capture_news_stop();
	http_pool_stop(pool, STOP_MS);
}

void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

void expect_post(const struct http_server *server, const char *target, const char *fields,
	int status, const char *part)
{
	struct client_response response = events_post(server, target, fields);

	if (response.status != status)
		fail_msg("%s %s: %d %s", target, fields, response.status, response.body);
	expect_in(response.body, part);
}
