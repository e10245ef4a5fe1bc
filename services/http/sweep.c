/*
 * While a request pends, h2o does not read its socket, so it cannot see the client go. The loop
 * therefore looks at all such sockets with one poll(2) every 100 ms, and, being awake at known
 * times, keeps the jobs' timers too.
 */
#include "http/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"

#define SWEEP_POLL_NS (100 * CLOCK_NS_PER_MS)
/* poll(2) refuses more entries than the soft RLIMIT_NOFILE, which may be lowered while we run. */
#define SWEEP_CHUNK_MIN 16

static struct http_job *job_of(h2o_linklist_t *node)
{
	return H2O_STRUCT_FROM_MEMBER(struct http_job, pending, node);
}

void http_sweep_add(struct http_job *job)
{
	struct http_loop *loop = job->loop;
	int64_t now_ns;

	if (!loop->pending_count++) {
		now_ns = clock_monotonic_ns();
		/* Unless it is due: a job that comes and goes faster than that is looked at too. */
		if (now_ns - loop->next_poll_ns > SWEEP_POLL_NS)
			loop->next_poll_ns = now_ns + SWEEP_POLL_NS;
	}
	h2o_linklist_insert(&loop->pending, &job->pending);
	if (job->next && job->due_ns < loop->next_timer_ns)
		loop->next_timer_ns = job->due_ns;
}

void http_sweep_remove(struct http_job *job)
{
	if (!h2o_linklist_is_linked(&job->pending))
		return;
	h2o_linklist_unlink(&job->pending);
	job->loop->pending_count--;
}

int64_t http_sweep_next_ns(const struct http_loop *loop)
{
	if (!loop->pending_count)
		return HTTP_NEVER;
	return loop->next_timer_ns < loop->next_poll_ns ? loop->next_timer_ns : loop->next_poll_ns;
}

/* ---- timers ---- */

/*
 * Takes what is due out of the pending list, so that handlers may put jobs back while the list is
 * walked.
 */
static void collect_due(struct http_loop *loop, int64_t now_ns, h2o_linklist_t *due)
{
	h2o_linklist_t *node = loop->pending.next, *next;

	loop->next_timer_ns = HTTP_NEVER;
	for (; node != &loop->pending; node = next) {
		struct http_job *job = job_of(node);

		next = node->next;
		if (!job->next)
			continue;
		if (job->due_ns <= now_ns) {
			http_sweep_remove(job);
			h2o_linklist_insert(due, &job->pending);
		} else if (job->due_ns < loop->next_timer_ns) {
			loop->next_timer_ns = job->due_ns;
		}
	}
}

static bool run_timers(struct http_loop *loop, int64_t now_ns)
{
	h2o_linklist_t due;

	if (now_ns < loop->next_timer_ns)
		return false;
	h2o_linklist_init_anchor(&due);
	collect_due(loop, now_ns, &due);
	if (h2o_linklist_is_empty(&due))
		return false;
	while (!h2o_linklist_is_empty(&due)) {
		struct http_job *job = job_of(due.next);
		http_handler *handler = job->next;

		h2o_linklist_unlink(&job->pending);
		job->next = NULL;
		http_job_run(job, handler);
	}
	return true;
}

/* ---- clients ---- */

static void leave(struct http_job *job)
{
	/* The request's end must not pull the job away from under us. */
	http_job_ref(job);
	http_job_leave(job);
	if (job->req)
		http_response_cut(job);
	http_job_unref(job);
}

static size_t list_sockets(struct http_loop *loop)
{
	h2o_linklist_t *node;
	size_t count = 0;

	if (loop->pending_count > loop->polled_cap) {
		loop->polled_cap = loop->pending_count * 2;
		loop->polled = xrealloc(loop->polled, loop->polled_cap, sizeof(*loop->polled));
		loop->polled_jobs = xrealloc(
			loop->polled_jobs, loop->polled_cap, sizeof(*loop->polled_jobs));
	}
	for (node = loop->pending.next; node != &loop->pending; node = node->next) {
		struct http_job *job = job_of(node);
		h2o_conn_t *connection = job->req->conn;
		h2o_socket_t *socket = connection->callbacks->get_socket(connection);

		loop->polled[count].fd = h2o_socket_get_fd(socket);
		loop->polled[count].events = POLLRDHUP;
		loop->polled[count].revents = 0;
		loop->polled_jobs[count++] = job;
	}
	return count;
}

static void poll_sockets(struct pollfd *polled, size_t count)
{
	size_t chunk = count, done = 0;

	while (done < count) {
		size_t rest = count - done, now = rest < chunk ? rest : chunk;
		int result = poll(polled + done, now, 0);

		if (result < 0 && errno == EINTR)
			continue;
		if (result < 0 && errno == EINVAL && chunk > SWEEP_CHUNK_MIN) {
			chunk = SWEEP_CHUNK_MIN;
			continue;
		}
		done += now;
	}
}

static bool find_left(struct http_loop *loop, int64_t now_ns)
{
	bool any = false;
	size_t count;

	if (!loop->pending_count || now_ns < loop->next_poll_ns)
		return false;
	loop->next_poll_ns = now_ns + SWEEP_POLL_NS;
	count = list_sockets(loop);
	poll_sockets(loop->polled, count);
	for (size_t i = 0; i < count; i++) {
		if (!(loop->polled[i].revents & (POLLRDHUP | POLLHUP | POLLERR)))
			continue;
		leave(loop->polled_jobs[i]);
		any = true;
	}
	return any;
}

bool http_sweep_run(struct http_loop *loop, int64_t now_ns)
{
	/* First who left: no timer shall run for nobody. */
	bool any = find_left(loop, now_ns);

	return run_timers(loop, now_ns) || any;
}

void http_sweep_leave_later_than(struct http_loop *loop, int64_t until_ns)
{
	h2o_linklist_t *node = loop->pending.next, *next;

	/* Leaving takes no other job out of the list, and an on-leave callback puts none in. */
	for (; node != &loop->pending; node = next) {
		struct http_job *job = job_of(node);

		next = node->next;
		if (job->next && job->due_ns > until_ns)
			leave(job);
	}
}

void http_sweep_leave_all(struct http_loop *loop)
{
	while (!h2o_linklist_is_empty(&loop->pending))
		leave(job_of(loop->pending.next));
}
