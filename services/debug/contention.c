/* /debug/pprof/block and /mutex: all contention since the start, or the difference of two times. */
#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "debug/internal.h"
#include "diag/contention.h"

struct request {
	enum contention_kind kind;
	int64_t seconds, debug;
	struct contention_snapshot *before; /* with seconds=N: the first of the two */
};

static void free_request(void *data)
{
	struct request *request = data;

	free(request->before);
	free(request);
}

static void reply_snapshot(
	struct http_job *job, const struct contention_snapshot *snapshot, int64_t duration_ns)
{
	const struct request *request = http_data(job);
	struct strbuf out = STRBUF_INIT;
	int err;

	if (request->debug > 0) {
		contention_print(snapshot, &out);
		http_reply_strbuf(job, 200, DEBUG_TEXT_TYPE, &out);
		return;
	}
	err = contention_encode(snapshot, duration_ns, &out);
	if (err)
		debug_reply_error(job, "Could not write the contention profile", err);
	else
		http_reply_strbuf(job, 200, DEBUG_PROFILE_TYPE, &out);
	strbuf_free(&out);
}

static http_handler wait_for_end;

/* The first time with seconds=N it only keeps what it saw, and comes back. */
static void snapshot_work(struct http_job *job)
{
	struct request *request = http_data(job);
	struct contention_snapshot *snapshot;
	int64_t duration_ns = 0;
	int err = contention_snapshot(request->kind, &snapshot);

	if (err) {
		debug_reply_error(job, "No contention profile", err);
		return;
	}
	if (request->seconds > 0 && !request->before) {
		request->before = snapshot;
		http_continue(job, wait_for_end);
		return;
	}
	if (request->before) {
		duration_ns = snapshot->time_ns - request->before->time_ns;
		contention_snapshot_subtract(snapshot, request->before);
	}
	reply_snapshot(job, snapshot, duration_ns);
	free(snapshot);
}

static void take_snapshot(struct http_job *job)
{
	debug_submit(job, snapshot_work);
}

static void wait_for_end(struct http_job *job)
{
	const struct request *request = http_data(job);

	http_after(job, (unsigned)request->seconds * 1000, take_snapshot);
}

static void contention_request(struct http_job *job, enum contention_kind kind)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->kind = kind;
	http_set_data(job, request, free_request);
	if (debug_param(job, "seconds", 0, 0, DEBUG_SECONDS_MAX, &request->seconds) &&
		debug_param(job, "debug", 0, 0, 2, &request->debug))
		take_snapshot(job);
}

void debug_block(struct http_job *job)
{
	contention_request(job, CONTENTION_BLOCK);
}

void debug_mutex(struct http_job *job)
{
	contention_request(job, CONTENTION_MUTEX);
}
