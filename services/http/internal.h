/*
 * internal: what the files of this folder share, and the one place that includes h2o.h.
 *
 * Who may touch what: a field of struct http_loop belongs to the loop's thread. A field of struct
 * http_job belongs to the thread whose turn it is (the loop's until http_submit(), then the
 * worker's until it replies), but for those marked otherwise.
 */
#ifndef SICKBAY_HTTP_INTERNAL_H
#define SICKBAY_HTTP_INTERNAL_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <h2o.h>
#include <h2o/http1.h>
#pragma GCC diagnostic pop

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "http/http.h"

#define HTTP_PATH_MAX_BYTES 2048
#define HTTP_HEADERS_MAX_COUNT 8
#define HTTP_PEER_BYTES (INET6_ADDRSTRLEN + sizeof("[]:65535"))

/* ---- watch.c: see http_watch() ---- */

extern _Atomic(const struct http_watcher *) http_watcher;

/* NULL: nobody watches. */
static inline const struct http_watcher *http_watched(void)
{
	return atomic_load_explicit(&http_watcher, memory_order_acquire);
}

/* Counts the connection, and tells. */
void http_watch_accepted(h2o_socket_t *socket);
/* Of the connection that REQ came by: on_accept()'s mark, once. */
uint64_t http_watch_connection(const h2o_req_t *req);

/* ---- answers.c: see http_answers_for_each() ---- */

#define HTTP_ANSWERS_SHARDS 4

struct http_answers {
	struct http_answers *next;
	const char *path;
	/* One for each loop, as far as there are enough, and so far apart that none share a cache line. */
	union {
		atomic_uint_least64_t counts[HTTP_STATUS_CLASSES];
		char apart[128];
	} shards[HTTP_ANSWERS_SHARDS];
};

/* Of a route's path, for good. Main thread only. */
struct http_answers *http_answers_of(const char *path);
/* ANSWERS NULL: of no route. STATUS 0: no answer. Loop thread. */
void http_answers_count(struct http_answers *answers, int status);

/* ---- mailbox.c: the way from a worker back to the loop, which may be gone by then ---- */

struct http_mailbox {
	atomic_uint refs;
	pthread_mutex_t lock;
	h2o_multithread_receiver_t
		*receiver; /* guarded by lock; NULL once the loop takes no more */
};

struct http_mailbox *http_mailbox_create(void);
void http_mailbox_open(struct http_mailbox *mailbox, h2o_multithread_receiver_t *receiver);
void http_mailbox_close(struct http_mailbox *mailbox);
struct http_mailbox *http_mailbox_ref(struct http_mailbox *mailbox);
void http_mailbox_unref(struct http_mailbox *mailbox);
/* False if nobody will ever read it: the message is still the caller's. */
bool http_mailbox_post(struct http_mailbox *mailbox, h2o_multithread_message_t *message);

/* ---- loop ---- */

struct http_loop {
	struct http_server *server;
	unsigned index;
	pthread_t thread;
	struct http_mailbox *mailbox;

	h2o_context_t context;
	h2o_accept_ctx_t acceptor;
	h2o_multithread_receiver_t receiver;
	h2o_socket_t *listener;
	int listen_fd;

	/*
	 * Jobs that wait for a worker or a timer (struct http_job.pending), and when to look at
	 * them next.
	 */
	h2o_linklist_t pending;
	size_t pending_count;
	int64_t next_timer_ns; /* no timer is due earlier */
	int64_t next_poll_ns;
	struct pollfd *polled; /* polled_cap entries each */
	struct http_job **polled_jobs;
	size_t polled_cap;

	int64_t accept_again_ns; /* 0: the listener is being read */
	int64_t complained_ns;   /* when running out of descriptors was last logged */
	bool draining;
};

#define HTTP_NEVER INT64_MAX

struct http_server {
	atomic_uint refs; /* one per loop and one of the owner: a loop left behind may come back */
	h2o_globalconf_t config;
	h2o_hostconf_t *host;
	struct http_route *routes;
	struct http_answers **answers; /* of each route */
	size_t route_count;
	http_gate *gate; /* NULL: everybody may come */
	struct http_loop *loops;
	unsigned loop_count;
	unsigned started_count;
	int listen_fd;
	uint16_t port;
	char *name;
	atomic_bool stopping;
	int64_t drain_until_ns; /* written before stopping, read after it */

	pthread_mutex_t lock; /* guards ready_count */
	pthread_cond_t ready;
	unsigned ready_count;
};

/* Frees the server with the last reference. */
void http_server_unref(struct http_server *server);

/* "ADDRESS:PORT", as http_server_config.listen. Returns 0 or -EINVAL. */
int http_parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len_bytes)
	__attribute__((warn_unused_result));

/* The loop that runs on this thread; NULL on any other thread. */
extern _Thread_local struct http_loop *http_loop_here;

void *http_loop_main(void *loop);
void http_loop_accept_start(struct http_loop *loop);
void http_loop_accept_stop(struct http_loop *loop);
void http_loop_accept_resume_if_due(struct http_loop *loop, int64_t now_ns);

/* ---- sweep.c: everything that pends on a loop ---- */

void http_sweep_add(struct http_job *job);
void http_sweep_remove(struct http_job *job);
/*
 * Fires timers and finds clients that left. Returns whether it did anything that the event loop
 * must now carry out.
 */
bool http_sweep_run(struct http_loop *loop, int64_t now_ns);
int64_t http_sweep_next_ns(const struct http_loop *loop);
/*
 * While draining: the clients of jobs whose timer is due later than UNTIL_NS are treated as ones
 * that left.
 */
void http_sweep_leave_later_than(struct http_loop *loop, int64_t until_ns);
/* At the end of a drain: every client of a pending job is treated as one that left. */
void http_sweep_leave_all(struct http_loop *loop);

/* ---- pool.c: what its threads take turns at ---- */

struct http_task {
	h2o_linklist_t queued; /* guarded by the pool's lock */
	/* Ends the task, in a worker thread or, DROPPED, in the one that stops the pool. */
	void (*run)(struct http_task *task, bool dropped);
};

/* Returns 0 or -EAGAIN. */
int http_pool_push(struct http_pool *pool, struct http_task *task)
	__attribute__((warn_unused_result));
/*
 * Joins a thread that ends by UNTIL_NS of the realtime clock; leaves any other behind. Returns whether
 * it ended.
 */
bool http_join(pthread_t thread, int64_t until_ns);
/* Takes a task out of the queue if it is still there. Returns whether it was. */
bool http_pool_drop(struct http_pool *pool, struct http_task *task);

/* ---- stream.c ---- */

struct http_stream {
	h2o_generator_t generator;
	struct http_job *job;
	bool chunked;
	struct strbuf backlog;  /* waits */
	struct strbuf taken;    /* h2o's until it asks for more */
	bool writing;           /* it has not asked yet */
	h2o_send_state_t state; /* in progress; or final or error: how it ends */
};

/* Breaks it off. Its connection was shut. */
void http_stream_cut(struct http_stream *stream);
void http_stream_free(struct http_stream *stream);

/* ---- job ---- */

struct http_job {
	h2o_multithread_message_t message; /* the mailbox's while posted */
	h2o_linklist_t pending;            /* loop thread only */
	struct http_task task;             /* the pool's, from http_submit() on */
	atomic_uint refs;                  /* one each: the request, the pool, a posted message */
	atomic_bool left;

	h2o_req_t *req; /* loop thread only; NULL once the request is gone */
	struct http_loop *loop;
	bool decided;  /* loop thread only: this turn's handler said what happens next */
	bool answered; /* loop thread only: the request was given its end */
	const struct http_route *route;
	struct http_answers *answers; /* the route's */
	enum http_method method;
	uint64_t mark; /* the watcher's */

	struct http_mailbox *mailbox; /* set by the first http_submit() */
	struct http_pool *pool;       /* loop thread only: where it was submitted */
	http_work *work;
	http_handler *resume; /* set by work without an answer: runs back on the loop */
	http_handler *next;   /* loop thread only: waits for due_ns */
	int64_t due_ns;
	http_handler *on_leave; /* loop thread only */
	void *data;
	void (*free_data)(void *data);
	struct http_stream *stream; /* loop thread only; NULL: the answer is whole */

	/*
	 * The answer on its way from a worker to the loop; headers are collected here in any case.
	 */
	bool abort;
	int status;
	const char *content_type;
	struct strbuf reply;
	unsigned header_count;
	struct {
		const char *name, *value;
	} headers[HTTP_HEADERS_MAX_COUNT];

	char peer[HTTP_PEER_BYTES];      /* "" until first asked for, or pending */
	const char *path, *query, *body; /* point into text */
	size_t body_len_bytes;
	char text[];
};

/*
 * Copies what a handler may ask of REQ; the job ends with the request, or with the last other
 * reference.
 */
struct http_job *http_job_create(
	h2o_req_t *req, const struct http_route *route, enum http_method method);
struct http_job *http_job_ref(struct http_job *job);
void http_job_unref(struct http_job *job);
/* One turn of HANDLER. */
void http_job_run(struct http_job *job, http_handler *handler);
/* The job is back from a worker, with an answer or a handler to go on with. */
void http_job_return(struct http_job *job);
/* Runs NEXT on the loop at DUE_NS; at HTTP_NEVER, not at all. */
void http_job_wait(struct http_job *job, int64_t due_ns, http_handler *next);
/* The client went away before the answer. */
void http_job_leave(struct http_job *job);
void http_job_fill_peer(struct http_job *job);

/* ---- response.c ---- */

/* An answer without a job. ALLOW (or NULL) is the Allow header. */
void http_response_refuse(h2o_req_t *req, int status, const char *allow, const char *sentence);
/* Sends the job back to its loop, with an answer or a handler. */
void http_response_post(struct http_job *job);
/* Carries out what a worker left in the job. */
void http_response_deliver(struct http_job *job);
/* Sends the head of an answer that GENERATOR goes on with. */
void http_response_begin(
	struct http_job *job, int status, const char *content_type, h2o_generator_t *generator);
/* Ends the request and its connection without an answer, or in the midst of one. */
void http_response_cut(struct http_job *job);

/* ---- router.c ---- */

/* Returns whether REQ was refused for what it is, or by the gate, before its path is looked up. */
bool http_router_refuse_early(const struct http_server *server, h2o_req_t *req);
/* Whether a route names PATH in full. */
bool http_router_knows(const struct http_server *server, h2o_iovec_t path);
int http_router_serve(const struct http_server *server, h2o_req_t *req);
int http_router_on_request(h2o_handler_t *self, h2o_req_t *req);

struct http_router {
	h2o_handler_t super;
	struct http_server *server;
};

#endif
