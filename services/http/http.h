/*
 * http: an HTTP/1.1 server on libh2o, for programs that must stay diagnosable. The only folder that
 * knows libh2o.
 *
 * Shape:     one event loop per core, each initialised in its own thread, all on one listening
 *            socket. A request becomes a job. A handler runs on the job's event loop and must not
 *            block: it answers at once, lets the job wait on a timer, or submits it to a pool,
 *            whose worker thread may block and then answers.
 *
 *     request -> handler (loop) -+-> http_reply*() -> response
 *                                +-> http_submit() -> work (worker) -> http_reply*() -> loop -> response
 *                                +-> http_after()  -> handler again (loop) -> ...
 *
 *            An answer whose body comes piece by piece, or never ends, is a stream: between its
 *            pieces the job waits as any other does.
 *
 * Ownership: a job belongs to the server; it is refcounted between the loop, the pool and the
 *            request, and lives until the last of them is done with it. Handlers and work never
 *            free it. Only the loop touches the request itself; when the client leaves first, the
 *            job loses its request and its answer goes nowhere.
 * Leaving:   a client that goes away is noticed within 200 ms, whatever the job is doing:
 *            http_client_left() turns true, a job still queued is dropped, a timer is cancelled,
 *            the on-leave callback runs (loop thread, once, and only if no answer was sent, or a
 *            stream has not come to its end), its connection is closed. A server that stops does
 *            the same to those it cannot wait for.
 * Errors:    HTTP/1.1 only. A path or query over 2 KiB is 414, a head that cannot be read is 400, a
 *            body over HTTP_BODY_MAX_BYTES is 413, a method the route does not list is 405, an
 *            unknown path 404: each with one sentence as text/plain.
 * Signals:   http_server_create() has the process ignore SIGPIPE, unless it handles it already.
 * Descriptors: an accept that meets EMFILE is tried again with headroom (common/nofile.h); if the
 *            hard limit is reached too, the listener rests for 100 ms instead of spinning.
 */
#ifndef SICKBAY_HTTP_HTTP_H
#define SICKBAY_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define HTTP_QUERY_MAX_BYTES 2048
#define HTTP_BODY_MAX_BYTES (64 * 1024)

struct http_server;
struct http_pool;
struct http_job;

enum http_method { HTTP_GET = 1, HTTP_HEAD = 2, HTTP_POST = 4 };

typedef void http_handler(struct http_job *job); /* loop thread; must not block */
typedef void http_work(
	struct http_job *job); /* worker thread; may block; replies before it returns */

struct http_route {
	const char
		*path; /* exact, or a subtree when it ends in "/" + "*": the longest match wins */
	unsigned methods; /* HTTP_GET | ...; HTTP_GET implies HTTP_HEAD */
	http_handler *handler;
	void *context; /* http_context(job); outlives the server */
};

/* ---- server: called by the program's main thread ---- */

struct http_server_config {
	const char *
		listen; /* "0.0.0.0:6060", ":6060", "127.0.0.1:0" (any free port) or "[::1]:6060" */
	unsigned loop_count; /* 0: one per core */
	const char *name;    /* the Server header */
};

/*
 * http_server_create() binds, but serves nothing yet. Returns 0, -EINVAL for a malformed address,
 * or -errno of bind (-EADDRINUSE, -EACCES ...). The routes (and what they point to) must outlive
 * the server.
 */
int http_server_create(const struct http_server_config *config, struct http_server **server)
	__attribute__((warn_unused_result));
void http_server_add_routes(
	struct http_server *server, const struct http_route *routes, size_t count);
int http_server_start(struct http_server *server) __attribute__((warn_unused_result));
uint16_t http_server_port(const struct http_server *server);
/*
 * Stops accepting, lets jobs under way answer for at most DRAIN_MS, joins the loops and frees all.
 * A job that waits on a timer for longer than that cannot answer any more: its connection is closed
 * at once, as if its client had left. A loop that hangs is left behind 700 ms later; what the
 * server was given must outlive it. Pools stop after it.
 */
void http_server_stop(struct http_server *server, unsigned drain_ms);

/* Connections that are open now, of all servers. MT-Safe. */
unsigned http_connection_count(void);

/*
 * Answers so far, of all servers, by the path of their route, and "unknown" for what was refused
 * without one. COUNTS are by hundreds of the status; [0]: none was given, since the connection was cut
 * or the client left. A stream counts when it begins. Files that are served are not among them,
 * nor what libh2o refuses by itself: a head that cannot be read, a body over the limit. MT-Safe.
 */
#define HTTP_STATUS_CLASSES 6
typedef void http_answers_visit(
	const char *path, const uint64_t counts[HTTP_STATUS_CLASSES], void *context);
void http_answers_for_each(http_answers_visit *visit, void *context);

/* ---- gate: whom a server turns away, whatever they ask for ---- */

/* As the client wrote them; NULL where there is none. */
struct http_caller {
	unsigned method; /* enum http_method; 0: another */
	const char *path;
	const char *host, *origin;
	const char *fetch_site, *fetch_mode; /* Sec-Fetch-Site, Sec-Fetch-Mode */
};
/*
 * Loop thread, before each request, for a file too; must not block. Returns 0, or the status to
 * refuse it with, and SENTENCE says why (with a newline; it outlives the server).
 */
typedef int http_gate(const struct http_caller *caller, const char **sentence);
/* Before http_server_start(). */
void http_server_set_gate(struct http_server *server, http_gate *gate);

/* ---- watching: what becomes of each request, for a trace ---- */

/*
 * A turn is a handler's on the loop, or a work function's on a worker: turns of one job come one
 * after the other, but a worker's may begin before the end of the one that submitted it is told. None
 * of these may block. MARK is what on_request() returned for the job, 0 if it began while nobody
 * watched.
 */
struct http_watcher {
	/* Loop thread: a connection was accepted. Returns its mark. */
	uint64_t (*on_accept)(void);
	/* Loop thread, before the first turn. CONNECTION: the mark of on_accept(), told once; else 0. */
	uint64_t (*on_request)(const struct http_job *job, uint64_t connection);
	void (*on_turn_begin)(const struct http_job *job, uint64_t mark);
	void (*on_turn_end)(uint64_t mark);
	/*
	 * Loop thread, once: the response goes out, or begins to; STATUS 0: it goes nowhere, the
	 * connection is cut.
	 */
	void (*on_answer)(uint64_t mark, int status);
	/* Loop thread: the request is over, sent or left. */
	void (*on_request_end)(uint64_t mark);
};
/* NULL: nobody watches; then each of these places costs one branch. It must outlive the process. */
void http_watch(const struct http_watcher *watcher);
/* What on_request() returned. MT-Safe. */
uint64_t http_mark(const struct http_job *job);
/* The path of the job's route, as it was registered: "/debug/vars". */
const char *http_route_path(const struct http_job *job);

/* ---- files: a directory, served as it is ---- */

struct http_files {
	const char *path;      /* "/viewer": this and everything below; no "/" at its end */
	const char *directory; /* looked up anew at each request; need not exist */
	/* Of every answer, errors too: pairs of a name in small letters and a value, then NULL. Or NULL. */
	const char *const *headers;
};

/*
 * GET and HEAD, with ranges and ETags, of the regular files below a directory. A directory answers
 * with its index.html. What is missing, a listing, or a symbolic link that leads out of DIRECTORY
 * is 404; a file that may not be read is 403. That holds whoever may write there, and whatever they
 * do meanwhile. Files are read on the loop: for local disks.
 *
 * Goes before the routes, but for those that name a path in full; call it before
 * http_server_start(). What FILES points to must outlive the server.
 */
void http_server_add_files(struct http_server *server, const struct http_files *files);

/* ---- pools: worker threads for what may block ---- */

struct http_pool_config {
	const char *name; /* thread names: NAME-0, NAME-1 ... (at most 11 characters) */
	unsigned thread_count;
	unsigned queue_max;            /* jobs and calls that may wait; more are refused */
	void (*on_thread_start)(void); /* or NULL; in each worker thread, before its first job */
};

int http_pool_create(const struct http_pool_config *config, struct http_pool **pool)
	__attribute__((warn_unused_result));
unsigned http_pool_queued_count(struct http_pool *pool); /* jobs and calls; MT-Safe */
/*
 * Runs CALL(DATA) in a worker thread, for what blocks and has no job (any more). Returns 0, or
 * -EAGAIN if the queue is full or the pool stops: the caller then makes the call itself. MT-Safe.
 */
int http_pool_call(struct http_pool *pool, void (*call)(void *data), void *data)
	__attribute__((warn_unused_result));
/*
 * Drops the jobs that are queued, makes the plain calls that are, and joins the threads that end
 * within WAIT_MS; a blocked thread (a deadlock) is left behind.
 */
void http_pool_stop(struct http_pool *pool, unsigned wait_ms);

/* ---- job: what a handler or work function may ask ---- */

const char *http_path(const struct http_job *job);  /* normalized, without the query */
const char *http_query(const struct http_job *job); /* raw, without '?'; "" if none */
/* Ends with a NUL; LEN_BYTES may be NULL. */
const char *http_body(const struct http_job *job, size_t *len_bytes);
enum http_method http_method(const struct http_job *job);
const char *http_peer(const struct http_job *job); /* "127.0.0.1:51552" */
void *http_context(const struct http_job *job);    /* of its route */
bool http_client_left(const struct http_job *job); /* MT-Safe */

/*
 * A pointer of the handler's own; FREE_DATA (or NULL) runs on it when the job ends, on whichever
 * thread that is.
 */
void http_set_data(struct http_job *job, void *data, void (*free_data)(void *data));
void *http_data(const struct http_job *job);

/* ---- job: what happens next. Exactly one of these per turn of a handler, or of those that end a turn
 *      of a stream; work calls one http_reply*(), http_abort() or http_continue(). ---- */

/*
 * Returns 0, or -EAGAIN if the pool's queue is full: the handler then answers itself (503). Loop
 * thread only.
 */
int http_submit(struct http_job *job, struct http_pool *pool, http_work *work)
	__attribute__((warn_unused_result));
/* The same, but answers 503 itself. */
void http_submit_or_refuse(struct http_job *job, struct http_pool *pool, http_work *work);
/*
 * From work, instead of a reply: NEXT runs on the loop when work has returned. Not run if the
 * client has left.
 */
void http_continue(struct http_job *job, http_handler *next);
/*
 * Runs NEXT on the loop after DELAY_MS (within 20 ms), unless the client leaves or the server stops
 * before. Loop thread only.
 */
void http_after(struct http_job *job, unsigned delay_ms, http_handler *next);
/* See "Leaving" above. Loop thread only; the last one set counts; NULL clears. */
void http_on_leave(struct http_job *job, http_handler *on_leave);

/* Adds one of at most 8 response headers. The strings, and the content types below, must be literals
 * or outlive the job. */
void http_header(struct http_job *job, const char *name, const char *value);
void http_reply(struct http_job *job, int status, const char *content_type, const void *body,
	size_t len_bytes);
/* Takes BODY's bytes; BODY is empty afterwards. */
void http_reply_strbuf(
	struct http_job *job, int status, const char *content_type, struct strbuf *body);
/* One sentence as text/plain; a newline is added. */
void http_reply_text(struct http_job *job, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Closes the connection without an answer, or in the midst of one, as a Go server does when a handler
 * panics.
 */
void http_abort(struct http_job *job);

/* ---- job: a stream, an answer that is sent piece by piece. Loop thread only. ---- */

#define HTTP_STREAM_BACKLOG_BYTES (64 * 1024)

/*
 * Sends the head. The turn goes on: it may write, and ends with http_stream_end(),
 * http_stream_rest(), http_after(), http_submit() or http_abort(); so do later ones, none of which
 * replies. Returns whether a body is wanted: where it is not (HEAD) the job is answered, and the
 * turn is over.
 *
 *     if (!http_stream_begin(job, 200, "text/event-stream"))
 *             return;
 *     http_stream_write(job, ...);
 *     http_after(job, 1000, next);
 *
 * It goes out in chunks, one for each piece; to a client older than HTTP/1.1 as it is, and its end is
 * the connection's.
 */
bool http_stream_begin(struct http_job *job, int status, const char *content_type)
	__attribute__((warn_unused_result));
/*
 * Copies DATA. Returns 0, or -ENOBUFS, and takes nothing, if more than HTTP_STREAM_BACKLOG_BYTES
 * would wait for a client that reads too slowly: leave the piece out, try again after a while, or
 * abort.
 */
int http_stream_write(struct http_job *job, const void *data, size_t len_bytes)
	__attribute__((warn_unused_result));
/* The answer is complete; what the client has not taken yet still goes out. */
void http_stream_end(struct http_job *job);
/* Nothing more happens until the client leaves. */
void http_stream_rest(struct http_job *job);

#endif
