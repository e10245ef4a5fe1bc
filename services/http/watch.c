/* Who watches, and the connections that are open. */
#include "http/internal.h"

_Atomic(const struct http_watcher *) http_watcher;
static atomic_uint connection_count;

void http_watch(const struct http_watcher *watcher)
{
	atomic_store_explicit(&http_watcher, watcher, memory_order_release);
}

uint64_t http_mark(const struct http_job *job)
{
	return job->mark;
}

const char *http_route_path(const struct http_job *job)
{
	return job->route->path;
}

unsigned http_connection_count(void)
{
	return atomic_load(&connection_count);
}

static void on_close(void *mark)
{
	(void)mark;
	atomic_fetch_sub(&connection_count, 1);
}

/* h2o keeps nothing of ours for a connection but what its socket's on_close gets. */
void http_watch_accepted(h2o_socket_t *socket)
{
	const struct http_watcher *watcher = http_watched();
	uint64_t mark = watcher ? watcher->on_accept() : 0;

	atomic_fetch_add(&connection_count, 1);
	socket->on_close.cb = on_close;
	socket->on_close.data = (void *)(uintptr_t)mark;
}

uint64_t http_watch_connection(const h2o_req_t *req)
{
	h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);
	uint64_t mark = (uintptr_t)socket->on_close.data;

	socket->on_close.data = NULL;
	return mark;
}
