/*
 * Answers that are sent piece by piece. h2o takes one piece at a time, which must stay as it is until
 * h2o asks for the next; what is written meanwhile waits. The chunks are made here: h2o's own filter
 * would keep the head back until the first of them.
 */
#include "http/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"

/* An empty piece is one as well: given none, h2o would end the request under our feet. */
static void send_next(struct http_stream *stream)
{
	bool ends = stream->state != H2O_SEND_STATE_IN_PROGRESS;
	h2o_iovec_t piece;

	if (stream->writing || (!stream->backlog.len_bytes && !ends))
		return;
	stream->writing = true;
	stream->taken = stream->backlog;
	stream->backlog = (struct strbuf)STRBUF_INIT;
	piece = h2o_iovec_init(stream->taken.data, stream->taken.len_bytes);
	h2o_send(stream->job->req, &piece, 1, stream->state);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
	struct http_stream *stream = H2O_STRUCT_FROM_MEMBER(
		struct http_stream, generator, generator);

	(void)req;
	stream->writing = false;
	strbuf_free(&stream->taken);
	send_next(stream);
}

static void end_with(struct http_stream *stream, h2o_send_state_t state)
{
	stream->state = state;
	send_next(stream);
}

void http_stream_cut(struct http_stream *stream)
{
	/* A write that waits fails now, and h2o closes; one that was done asks for more. */
	end_with(stream, H2O_SEND_STATE_ERROR);
}

void http_stream_free(struct http_stream *stream)
{
	if (!stream)
		return;
	strbuf_free(&stream->backlog);
	strbuf_free(&stream->taken);
	free(stream);
}

/* Whether the body goes in chunks; where it cannot, only the connection's end is its own. */
static bool choose_chunks(h2o_req_t *req)
{
	if (req->version != 0x101) {
		req->http1_is_persistent = 0;
		return false;
	}
	h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_TRANSFER_ENCODING, NULL,
		H2O_STRLIT("chunked"));
	return true;
}

bool http_stream_begin(struct http_job *job, int status, const char *content_type)
{
	bool wanted = job->method != HTTP_HEAD;
	struct http_stream *stream = xcalloc(1, sizeof(*stream));

	assert(http_loop_here == job->loop && !job->decided && !job->stream);
	job->stream = stream;
	stream->generator.proceed = on_proceed;
	stream->job = job;
	stream->chunked = wanted && choose_chunks(job->req);
	stream->state = wanted ? H2O_SEND_STATE_IN_PROGRESS : H2O_SEND_STATE_FINAL;
	stream->writing = true;
	job->decided = job->answered = !wanted;
	http_response_begin(job, status, content_type, &stream->generator);
	h2o_send(job->req, NULL, 0, stream->state);
	return wanted;
}

int http_stream_write(struct http_job *job, const void *data, size_t len_bytes)
{
	struct http_stream *stream = job->stream;

	assert(http_loop_here == job->loop && !job->answered);
	if (len_bytes > HTTP_STREAM_BACKLOG_BYTES ||
		stream->backlog.len_bytes > HTTP_STREAM_BACKLOG_BYTES - len_bytes)
		return -ENOBUFS;
	/* An empty chunk would be the last. */
	if (!len_bytes)
		return 0;
	if (stream->chunked)
		strbuf_printf(&stream->backlog, "%zx\r\n", len_bytes);
	strbuf_add(&stream->backlog, data, len_bytes);
	if (stream->chunked)
		strbuf_puts(&stream->backlog, "\r\n");
	send_next(stream);
	return 0;
}

void http_stream_end(struct http_job *job)
{
	assert(http_loop_here == job->loop && !job->decided);
	job->decided = job->answered = true;
	if (job->stream->chunked)
		strbuf_puts(&job->stream->backlog, "0\r\n\r\n");
	end_with(job->stream, H2O_SEND_STATE_FINAL);
}

void http_stream_rest(struct http_job *job)
{
	assert(job->stream);
	http_job_wait(job, HTTP_NEVER, http_stream_end);
}
