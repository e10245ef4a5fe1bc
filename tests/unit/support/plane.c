#include "plane.h"

#include "debug/debug.h"
#include "test.h"

#define STOP_MS 1000

struct http_server *plane_create(struct http_pool **pool)
{
	static const struct http_server_config server_config = {
		.listen = "127.0.0.1:0", .loop_count = 2, .name = "test"};
	static const struct http_pool_config pool_config = {.name = "debug",
		.thread_count = PLANE_THREADS,
		.queue_max = 64,
		.on_thread_start = debug_observe_thread};
	struct http_server *server;

	assert_int_equal(http_pool_create(&pool_config, pool), 0);
	assert_int_equal(http_server_create(&server_config, &server), 0);
	debug_mount(server, *pool);
	return server;
}

void plane_stop(struct http_server *server, struct http_pool *pool)
{
	http_server_stop(server, STOP_MS);
	http_pool_stop(pool, STOP_MS);
}
