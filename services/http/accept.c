/* Taking connections, also when descriptors run out. */
#include "http/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/nofile.h"

/* Per wake-up: enough for a burst, few enough to leave some to the other loop. */
#define ACCEPT_MAX_COUNT 16
#define ACCEPT_REST_NS (100 * CLOCK_NS_PER_MS)
#define ACCEPT_COMPLAIN_NS (10 * CLOCK_NS_PER_SEC)

/* Without this the listener, still readable, would wake the loop again and again. */
static void rest(struct http_loop *loop, int error)
{
	int64_t now_ns = clock_monotonic_ns();

	h2o_socket_read_stop(loop->listener);
	loop->accept_again_ns = now_ns + ACCEPT_REST_NS;
	if (loop->complained_ns && now_ns - loop->complained_ns < ACCEPT_COMPLAIN_NS)
		return;
	loop->complained_ns = now_ns;
	log_printf("Cannot accept connections: %s; trying again every 100 ms", strerror(error));
}

static h2o_socket_t *accept_one(struct http_loop *loop)
{
	h2o_socket_t *socket = h2o_evloop_socket_accept(loop->listener);

	if (!socket && errno == EMFILE) {
		nofile_headroom_enter();
		socket = h2o_evloop_socket_accept(loop->listener);
		nofile_headroom_leave();
	}
	return socket;
}

/* Out of something, as opposed to: nobody is there (any more). */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_acceptable(h2o_socket_t *listener, const char *error)
{
	struct http_loop *loop = listener->data;

	if (error)
		return;
	for (int i = 0; i < ACCEPT_MAX_COUNT; i++) {
		h2o_socket_t *socket = accept_one(loop);

		if (!socket) {
			if (is_shortage(errno))
				rest(loop, errno);
			return;
		}
		http_watch_accepted(socket);
		h2o_accept(&loop->acceptor, socket);
	}
}

void http_loop_accept_start(struct http_loop *loop)
{
	loop->listener = h2o_evloop_socket_create(
		loop->context.loop, loop->listen_fd, H2O_SOCKET_FLAG_DONT_READ);
	loop->listener->data = loop;
	h2o_socket_read_start(loop->listener, on_acceptable);
}

void http_loop_accept_stop(struct http_loop *loop)
{
	loop->accept_again_ns = 0;
	h2o_socket_read_stop(loop->listener);
	h2o_socket_close(loop->listener);
	loop->listener = NULL;
	loop->listen_fd = -1;
}

void http_loop_accept_resume_if_due(struct http_loop *loop, int64_t now_ns)
{
	if (!loop->accept_again_ns || now_ns < loop->accept_again_ns)
		return;
	loop->accept_again_ns = 0;
	h2o_socket_read_start(loop->listener, on_acceptable);
}
