/*
 * A job's life: from the request, through turns of handlers and a worker, to whoever lets go of it
 * last.
 */
#include "http/internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

/* What h2o's pool frees together with the request: its way to tell the job. */
struct request_cell {
	struct http_job *job;
};

static void on_request_end(void *memory)
{
	struct http_job *job = ((struct request_cell *)memory)->job;

	const struct http_watcher *watcher = http_watched();

	/* The request ended by itself: nobody is left to answer. */
	if (!job->answered)
		http_job_leave(job);
	if (watcher)
		watcher->on_request_end(job->mark);
	job->req = NULL;
	http_job_unref(job);
}

static char *put_string(char *at, const char **field, h2o_iovec_t text)
{
	*field = at;
	at = h2o_memcpy(at, text.base, text.len);
	at[text.len] = '\0';
	return at + text.len + 1;
}

static h2o_iovec_t query_of(const h2o_req_t *req)
{
	if (req->query_at == SIZE_MAX)
		return h2o_iovec_init("", 0);
	return h2o_iovec_init(
		req->path.base + req->query_at + 1, req->path.len - req->query_at - 1);
}

struct http_job *http_job_create(
	h2o_req_t *req, const struct http_route *route, enum http_method method)
{
	h2o_iovec_t query = query_of(req);
	const struct http_watcher *watcher = http_watched();
	struct request_cell *cell;
	struct http_job *job;
	char *at;

	job = xmalloc(sizeof(*job) + req->path_normalized.len + query.len + req->entity.len + 3);
	memset(job, 0, sizeof(*job));
	atomic_init(&job->refs, 1);
	job->req = req;
	job->loop = http_loop_here;
	job->route = route;
	job->answers = job->loop->server->answers[route - job->loop->server->routes];
	job->method = method;
	at = put_string(job->text, &job->path, req->path_normalized);
	at = put_string(at, &job->query, query);
	put_string(at, &job->body, req->entity);
	job->body_len_bytes = req->entity.len;
	cell = h2o_mem_alloc_shared(&req->pool, sizeof(*cell), on_request_end);
	cell->job = job;
	if (watcher)
		job->mark = watcher->on_request(job, http_watch_connection(req));
	return job;
}

struct http_job *http_job_ref(struct http_job *job)
{
	atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
	return job;
}

void http_job_unref(struct http_job *job)
{
	if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (job->free_data)
		job->free_data(job->data);
	if (job->mailbox)
		http_mailbox_unref(job->mailbox);
	strbuf_free(&job->reply);
	http_stream_free(job->stream);
	free(job);
}

/* Of a watcher that comes or goes meanwhile, one of the two is not told. */
static void watch_turn(struct http_job *job, void (*turn)(struct http_job *job))
{
	const struct http_watcher *watcher = http_watched();
	uint64_t mark = job->mark;

	if (watcher)
		watcher->on_turn_begin(job, mark);
	turn(job);
	if (watcher)
		watcher->on_turn_end(mark);
}

void http_job_run(struct http_job *job, http_handler *handler)
{
	job->decided = false;
	watch_turn(job, handler);
	assert(job->decided && "a handler answers, submits, waits or aborts");
}

void http_job_return(struct http_job *job)
{
	http_handler *resume = job->resume;

	if (!resume) {
		http_response_deliver(job);
		return;
	}
	job->resume = NULL;
	http_sweep_remove(job);
	if (job->req && !http_client_left(job))
		http_job_run(job, resume);
}

void http_job_leave(struct http_job *job)
{
	http_handler *on_leave = job->on_leave;

	atomic_store(&job->left, true);
	http_sweep_remove(job);
	if (!job->answered && !job->stream)
		http_answers_count(job->answers, 0);
	job->answered = true;
	job->next = NULL;
	job->on_leave = NULL;
	if (on_leave)
		on_leave(job);
	if (job->pool && http_pool_drop(job->pool, &job->task))
		http_job_unref(job);
}

void http_job_fill_peer(struct http_job *job)
{
	struct sockaddr_storage address;
	char host[INET6_ADDRSTRLEN];
	h2o_conn_t *connection;

	if (job->peer[0] || !job->req)
		return;
	connection = job->req->conn;
	/* A client that is gone already has no address any more. */
	if (!connection->callbacks->get_peername(connection, (struct sockaddr *)&address)) {
		snprintf(job->peer, sizeof(job->peer), "unknown");
		return;
	}
	if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(job->peer, sizeof(job->peer), "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (struct sockaddr_in *)&address;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(job->peer, sizeof(job->peer), "%s:%u", host, ntohs(in->sin_port));
	}
}

/* ---- what happens next ---- */

static void run_work(struct http_task *task, bool dropped)
{
	struct http_job *job = H2O_STRUCT_FROM_MEMBER(struct http_job, task, task);

	if (!dropped) {
		watch_turn(job, job->work);
		if (job->resume)
			http_response_post(job);
	}
	http_job_unref(job);
}

int http_submit(struct http_job *job, struct http_pool *pool, http_work *work)
{
	int result;

	assert(http_loop_here == job->loop && !job->decided);
	/* Everything is in place before the push: the worker may be done before it returns. */
	http_job_fill_peer(job);
	if (!job->mailbox)
		job->mailbox = http_mailbox_ref(job->loop->mailbox);
	job->work = work;
	job->pool = pool;
	job->task.run = run_work;
	http_sweep_add(job);
	result = http_pool_push(pool, &http_job_ref(job)->task);
	if (result) {
		http_job_unref(job);
		http_sweep_remove(job);
		job->pool = NULL;
		return result;
	}
	job->decided = true;
	return 0;
}

void http_submit_or_refuse(struct http_job *job, struct http_pool *pool, http_work *work)
{
	if (http_submit(job, pool, work) != 0)
		http_reply_text(
			job, 503, "Too much is under way here already; try again in a moment.");
}

void http_job_wait(struct http_job *job, int64_t due_ns, http_handler *next)
{
	assert(http_loop_here == job->loop && !job->decided);
	http_job_fill_peer(job);
	job->decided = true;
	job->next = next;
	job->due_ns = due_ns;
	http_sweep_add(job);
}

void http_after(struct http_job *job, unsigned delay_ms, http_handler *next)
{
	http_job_wait(job, clock_monotonic_ns() + delay_ms * CLOCK_NS_PER_MS, next);
}

void http_on_leave(struct http_job *job, http_handler *on_leave)
{
	assert(http_loop_here == job->loop);
	job->on_leave = on_leave;
}

/* ---- what a handler may ask ---- */

const char *http_path(const struct http_job *job)
{
	return job->path;
}

const char *http_query(const struct http_job *job)
{
	return job->query;
}

const char *http_body(const struct http_job *job, size_t *len_bytes)
{
	if (len_bytes)
		*len_bytes = job->body_len_bytes;
	return job->body;
}

enum http_method http_method(const struct http_job *job)
{
	return job->method;
}

const char *http_peer(const struct http_job *job)
{
	/* Most requests never ask: it is worked out on demand, and before a worker could ask. */
	if (http_loop_here == job->loop)
		http_job_fill_peer((struct http_job *)job);
	return job->peer;
}

void *http_context(const struct http_job *job)
{
	return job->route->context;
}

bool http_client_left(const struct http_job *job)
{
	return atomic_load(&job->left);
}

void http_set_data(struct http_job *job, void *data, void (*free_data)(void *data))
{
	job->data = data;
	job->free_data = free_data;
}

void *http_data(const struct http_job *job)
{
	return job->data;
}
