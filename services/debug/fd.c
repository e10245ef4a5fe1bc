/* /debug/pprof/fd and /connections: what is open now, or what came in N seconds and still is. */
#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "debug/internal.h"
#include "diag/fd.h"

struct request {
	enum fd_scope scope;
	int64_t seconds, debug;
	int64_t since_ns; /* with seconds=N: when they began, monotonic */
};

static void snapshot_work(struct http_job *job)
{
	const struct request *request = http_data(job);
	struct strbuf out = STRBUF_INIT;
	struct fd_snapshot *snapshot;
	int64_t duration_ns = 0;
	int err = fd_snapshot_take(request->scope, request->since_ns, &snapshot);

	if (err) {
		debug_reply_error(job, "Could not list the open descriptors", err);
		return;
	}
	if (request->debug > 0) {
		(request->debug == 1 ? fd_print_groups : fd_print_each)(snapshot, &out);
		http_reply_strbuf(job, 200, DEBUG_TEXT_TYPE, &out);
	} else {
		if (request->since_ns > 0)
			duration_ns = snapshot->monotonic_ns - request->since_ns;
		err = fd_encode(snapshot, duration_ns, &out);
		if (err)
			debug_reply_error(job, "Could not write the descriptor profile", err);
		else
			http_reply_strbuf(job, 200, DEBUG_PROFILE_TYPE, &out);
	}
	strbuf_free(&out);
	free(snapshot);
}

static void take_snapshot(struct http_job *job)
{
	debug_submit(job, snapshot_work);
}

static void fd_request(struct http_job *job, enum fd_scope scope)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->scope = scope;
	http_set_data(job, request, free);
	if (!debug_param(job, "seconds", 0, 0, DEBUG_SECONDS_MAX, &request->seconds) ||
		!debug_param(job, "debug", 0, 0, 2, &request->debug))
		return;
	if (request->seconds > 0) {
		request->since_ns = clock_monotonic_ns();
		http_after(job, (unsigned)request->seconds * 1000, take_snapshot);
	} else {
		take_snapshot(job);
	}
}

void debug_fd(struct http_job *job)
{
	fd_request(job, FD_ALL);
}

void debug_connections(struct http_job *job)
{
	fd_request(job, FD_CONNECTIONS);
}
