#include "debug/trace_requests.h"

#include "diag/malloc_stats.h"
#include "http/http.h"
#include "trace/trace.h"

static const char *method_of(const struct http_job *job)
{
	switch (http_method(job)) {
	case HTTP_HEAD:
		return "HEAD";
	case HTTP_POST:
		return "POST";
	default:
		return "GET";
	}
}

/* Not a request yet: it has a number to be joined by, and an end at once. */
static uint64_t on_accept(void)
{
	uint64_t connection = trace_flow_number();

	trace_instant("accept");
	trace_flow(connection, false);
	return connection;
}

static uint64_t on_request(const struct http_job *job, uint64_t connection)
{
	uint64_t request = trace_async_begin(http_route_path(job));

	if (!request)
		return 0;
	trace_text("method", method_of(job));
	trace_text("path", http_path(job));
	if (*http_query(job))
		trace_text("query", http_query(job));
	if (connection) {
		trace_begin_of("first request", request);
		trace_flow(connection, true);
		trace_end();
	}
	return request;
}

/* Within the turn: what it took from the heap shows, however short it was. */
static void count_heap(uint64_t request)
{
	if (request)
		trace_counter(TRACE_HEAP_COUNTER, (int64_t)malloc_stats_read().allocated_bytes);
}

static void on_turn_begin(const struct http_job *job, uint64_t request)
{
	trace_begin_of(http_route_path(job), request);
	trace_flow(request, false);
	count_heap(request);
}

static void on_turn_end(uint64_t request)
{
	count_heap(request);
	trace_end();
}

static void on_answer(uint64_t request, int status)
{
	if (!request)
		return;
	trace_async_number(request, "status", status);
	trace_begin_of("answer", request);
	trace_flow(request, true);
	trace_end();
}

static void on_request_end(uint64_t request)
{
	trace_async_end(request);
}

static const struct http_watcher watcher = {
	.on_accept = on_accept,
	.on_request = on_request,
	.on_turn_begin = on_turn_begin,
	.on_turn_end = on_turn_end,
	.on_answer = on_answer,
	.on_request_end = on_request_end,
};

void trace_requests_watch(void)
{
	http_watch(&watcher);
}

void trace_requests_unwatch(void)
{
	http_watch(NULL);
}
