/*
 * One event loop and its thread: everything h2o has here is made, used and taken apart in that
 * thread.
 */
#include "http/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"

#define LOOP_DRAIN_STEP_MS 20
/* For connections that were shut to end: a matter of one turn, unless something is very wrong. */
#define LOOP_CLOSE_NS (CLOCK_NS_PER_SEC / 2)
#define LOOP_CLOSE_TRIES 100

_Thread_local struct http_loop *http_loop_here;

static void on_messages(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
	(void)receiver;
	while (!h2o_linklist_is_empty(messages)) {
		struct http_job *job = H2O_STRUCT_FROM_MEMBER(
			struct http_job, message.link, messages->next);

		h2o_linklist_unlink(&job->message.link);
		http_job_return(job);
		http_job_unref(job);
	}
}

static void loop_open(struct http_loop *loop)
{
	struct http_server *server = loop->server;
	char name[16];

	snprintf(name, sizeof(name), "loop-%u", loop->index);
	pthread_setname_np(pthread_self(), name);
	http_loop_here = loop;
	h2o_linklist_init_anchor(&loop->pending);
	loop->next_timer_ns = HTTP_NEVER;
	h2o_context_init(&loop->context, h2o_evloop_create(), &server->config);
	loop->acceptor.ctx = &loop->context;
	loop->acceptor.hosts = server->config.hosts;
	h2o_multithread_register_receiver(loop->context.queue, &loop->receiver, on_messages);
	http_mailbox_open(loop->mailbox, &loop->receiver);
	http_loop_accept_start(loop);

	pthread_mutex_lock(&server->lock);
	server->ready_count++;
	pthread_cond_signal(&server->ready);
	pthread_mutex_unlock(&server->lock);
}

/*
 * What was posted before the mailbox closed is still read: its jobs want to be let go. A signal may
 * fail a turn, but not for ever: where something else does, the loop is left as it is, since h2o
 * takes none apart that has messages.
 */
static int read_last_messages(h2o_loop_t *evloop)
{
	for (int i = 0; i < LOOP_CLOSE_TRIES; i++)
		if (h2o_evloop_run(evloop, 0) == 0)
			return 0;
	log_printf("an event loop cannot be closed: %s", strerror(errno));
	return -EIO;
}

static void loop_close(struct http_loop *loop)
{
	h2o_loop_t *evloop = loop->context.loop;

	http_mailbox_close(loop->mailbox);
	if (read_last_messages(evloop) == 0) {
		h2o_multithread_unregister_receiver(loop->context.queue, &loop->receiver);
		h2o_context_dispose(&loop->context);
		h2o_evloop_destroy(evloop);
	}
	free(loop->polled);
	free(loop->polled_jobs);
	http_loop_here = NULL;
}

/*
 * Never negative; rounded up, or the loop would turn idly until the deadline's millisecond is over.
 */
static int32_t wait_ms(int64_t now_ns, int64_t until_ns)
{
	int64_t ms;

	if (until_ns <= now_ns)
		return 0;
	if (until_ns == HTTP_NEVER)
		return INT32_MAX;
	ms = (until_ns - now_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
	return ms > INT32_MAX ? INT32_MAX : ms;
}

/* One turn: due timers and clients that left, then I/O. */
static void loop_turn(struct http_loop *loop, int64_t latest_ns)
{
	int64_t now_ns = 0;

	/* A loop that only answers inline needs no clock. */
	if (loop->pending_count || loop->accept_again_ns || latest_ns != HTTP_NEVER) {
		now_ns = clock_monotonic_ns();
		http_loop_accept_resume_if_due(loop, now_ns);
		if (http_sweep_run(loop, now_ns))
			latest_ns = 0;
		if (http_sweep_next_ns(loop) < latest_ns)
			latest_ns = http_sweep_next_ns(loop);
		if (loop->accept_again_ns && loop->accept_again_ns < latest_ns)
			latest_ns = loop->accept_again_ns;
	}
	/*
	 * It fails with EINTR when a signal (a thread dump, a profiler) hits the wait: no reason to
	 * stop.
	 */
	(void)h2o_evloop_run(loop->context.loop, wait_ms(now_ns, latest_ns));
}

/* ---- the end ---- */

static int shut_idle(h2o_req_t *req, void *unused)
{
	h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);

	(void)unused;
	/*
	 * No version: no request was read yet. What has already arrived is still read, then comes
	 * the end of file.
	 */
	if (!req->version)
		shutdown(h2o_socket_get_fd(socket), SHUT_RD);
	return 0;
}

static int shut_any(h2o_req_t *req, void *unused)
{
	h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);

	(void)unused;
	shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
	return 0;
}

static void run_until_closed(
	struct http_loop *loop, int64_t until_ns, int (*shut)(h2o_req_t *req, void *unused))
{
	const h2o_protocol_callbacks_t *http1 = &loop->server->config.http1.callbacks;
	int64_t now_ns;

	while (!h2o_linklist_is_empty(&loop->context.http1._conns)) {
		now_ns = clock_monotonic_ns();
		if (now_ns >= until_ns)
			return;
		/* Each time: a job may have begun to wait meanwhile. */
		http_sweep_leave_later_than(loop, until_ns);
		http1->foreach_request(&loop->context, shut, NULL);
		loop_turn(loop, now_ns + LOOP_DRAIN_STEP_MS * CLOCK_NS_PER_MS);
	}
}

static void loop_drain(struct http_loop *loop)
{
	loop->draining = true;
	http_loop_accept_stop(loop);
	h2o_context_request_shutdown(&loop->context);
	run_until_closed(loop, loop->server->drain_until_ns, shut_idle);
	http_sweep_leave_all(loop);
	run_until_closed(loop, clock_monotonic_ns() + LOOP_CLOSE_NS, shut_any);
}

void *http_loop_main(void *argument)
{
	struct http_loop *loop = argument;

	loop_open(loop);
	while (!atomic_load_explicit(&loop->server->stopping, memory_order_acquire))
		loop_turn(loop, HTTP_NEVER);
	loop_drain(loop);
	loop_close(loop);
	http_server_unref(loop->server);
	return NULL;
}
