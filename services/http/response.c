/*
 * From an answer to h2o's response. Only the job's loop talks to h2o; a worker's answer travels
 * there first.
 */
#include "http/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define SENTENCE_BYTES 1024

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{200, "OK"},
		{202, "Accepted"},
		{204, "No Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{421, "Misdirected Request"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* LEN_BYTES: SIZE_MAX where nobody knows yet. */
static void start_response(h2o_req_t *req, int status, const char *content_type, size_t len_bytes,
	h2o_generator_t *generator)
{
	req->res.status = status;
	req->res.reason = reason_of(status);
	req->res.content_length = len_bytes;
	if (content_type)
		h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE,
			"Content-Type", content_type, strlen(content_type));
	if (http_loop_here->draining)
		req->http1_is_persistent = 0;
	h2o_start_response(req, generator);
}

/* BODY must live as long as the request's pool. */
static void send_response(h2o_req_t *req, int status, const char *content_type, h2o_iovec_t body)
{
	/* No proceed and no stop: everything is handed over at once. */
	static h2o_generator_t whole = {NULL, NULL};
	bool head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));

	start_response(req, status, content_type, body.len, &whole);
	h2o_send(req, &body, head || !body.len ? 0 : 1, H2O_SEND_STATE_FINAL);
}

static void add_headers(struct http_job *job)
{
	for (unsigned i = 0; i < job->header_count; i++)
		h2o_add_header_by_str(&job->req->pool, &job->req->res.headers, job->headers[i].name,
			strlen(job->headers[i].name), 0, job->headers[i].name,
			job->headers[i].value, strlen(job->headers[i].value));
}

void http_response_refuse(h2o_req_t *req, int status, const char *allow, const char *sentence)
{
	http_answers_count(NULL, status);
	if (allow)
		h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("allow"), 0,
			"Allow", allow, strlen(allow));
	send_response(req, status, TEXT_PLAIN, h2o_iovec_init(sentence, strlen(sentence)));
}

void http_response_cut(struct http_job *job)
{
	h2o_req_t *req = job->req;
	h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);

	/*
	 * h2o has no way to drop an HTTP/1 connection: it is made to fail the write, and then
	 * closes it.
	 */
	shutdown(h2o_socket_get_fd(socket), SHUT_RDWR);
	if (job->stream) {
		http_stream_cut(job->stream);
		return;
	}
	req->http1_is_persistent = 0;
	send_response(req, 500, NULL, h2o_iovec_init("", 0));
}

static void tell_answer(const struct http_job *job, int status)
{
	const struct http_watcher *watcher = http_watched();

	http_answers_count(job->answers, status);
	if (watcher)
		watcher->on_answer(job->mark, status);
}

/* On the loop: true if the answer is wanted; the job is then settled. */
static bool settle(struct http_job *job, int status)
{
	job->decided = true;
	if (atomic_load_explicit(&job->left, memory_order_relaxed) || !job->req)
		return false;
	assert(!job->answered && (!job->stream || job->abort) && "one answer per job");
	job->answered = true;
	http_sweep_remove(job);
	if (!job->stream)
		tell_answer(job, status);
	return true;
}

void http_response_begin(
	struct http_job *job, int status, const char *content_type, h2o_generator_t *generator)
{
	tell_answer(job, status);
	add_headers(job);
	start_response(job->req, status, content_type, SIZE_MAX, generator);
}

void http_response_deliver(struct http_job *job)
{
	if (!settle(job, job->status))
		return;
	if (job->abort) {
		http_response_cut(job);
		return;
	}
	add_headers(job);
	/* Not copied: the job outlives its request. */
	send_response(job->req, job->status, job->content_type,
		h2o_iovec_init(job->reply.data, job->reply.len_bytes));
}

static bool on_loop(const struct http_job *job)
{
	return http_loop_here == job->loop;
}

void http_response_post(struct http_job *job)
{
	assert(job->mailbox && "off its loop a job was submitted");
	if (!http_mailbox_post(job->mailbox, &http_job_ref(job)->message))
		http_job_unref(job);
}

static void post_or_deliver(struct http_job *job)
{
	if (on_loop(job))
		http_response_deliver(job);
	else
		http_response_post(job);
}

void http_continue(struct http_job *job, http_handler *next)
{
	assert(!on_loop(job));
	/* Posted by the pool when the work has returned: until then the job is the worker's. */
	job->resume = next;
}

void http_header(struct http_job *job, const char *name, const char *value)
{
	assert(job->header_count < HTTP_HEADERS_MAX_COUNT);
	job->headers[job->header_count].name = name;
	job->headers[job->header_count++].value = value;
}

void http_reply(struct http_job *job, int status, const char *content_type, const void *body,
	size_t len_bytes)
{
	if (on_loop(job)) {
		if (!settle(job, status))
			return;
		add_headers(job);
		send_response(job->req, status, content_type,
			h2o_strdup(&job->req->pool, body, len_bytes));
		return;
	}
	job->status = status;
	job->content_type = content_type;
	strbuf_add(&job->reply, body, len_bytes);
	http_response_post(job);
}

void http_reply_strbuf(
	struct http_job *job, int status, const char *content_type, struct strbuf *body)
{
	strbuf_free(&job->reply);
	job->reply = *body;
	*body = (struct strbuf)STRBUF_INIT;
	job->status = status;
	job->content_type = content_type;
	post_or_deliver(job);
}

void http_reply_text(struct http_job *job, int status, const char *format, ...)
{
	char sentence[SENTENCE_BYTES];
	va_list arguments;
	int len_bytes;

	va_start(arguments, format);
	len_bytes = vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	if (len_bytes < 0)
		len_bytes = 0;
	if (len_bytes > SENTENCE_BYTES - 1)
		len_bytes = SENTENCE_BYTES - 1;
	/* The newline takes the NUL's place. */
	sentence[len_bytes++] = '\n';
	http_reply(job, status, TEXT_PLAIN, sentence, len_bytes);
}

void http_abort(struct http_job *job)
{
	job->abort = true;
	post_or_deliver(job);
}
