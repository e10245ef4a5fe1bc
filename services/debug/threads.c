/* /debug/pprof/goroutine, goroutines, threads and threadcreate: all threads, as they stand now. */
#include <stdlib.h>

#include "common/alloc.h"
#include "debug/internal.h"
#include "diag/threads.h"

/* How a snapshot becomes an answer: by debug=0, 1 and 2. */
struct view {
	int (*encode)(const struct thread_snapshot *snapshot, struct strbuf *out);
	void (*print[2])(const struct thread_snapshot *snapshot, struct strbuf *out);
};

static const struct view view_threads = {
	threads_encode, {threads_print_groups, threads_print_each}};
static const struct view view_creators = {
	threads_encode_creators, {threads_print_creators, threads_print_creators}};

struct request {
	const struct view *view;
	int64_t debug;
};

static void snapshot_work(struct http_job *job)
{
	const struct request *request = http_data(job);
	struct strbuf out = STRBUF_INIT;
	struct thread_snapshot *snapshot;
	int err = thread_snapshot_take(PROBE_DUMP_ALL, &snapshot);

	if (err) {
		debug_reply_error(job, "Could not dump the threads", err);
		return;
	}
	if (request->debug > 0) {
		request->view->print[request->debug - 1](snapshot, &out);
		http_reply_strbuf(job, 200, DEBUG_TEXT_TYPE, &out);
	} else {
		err = request->view->encode(snapshot, &out);
		if (err)
			debug_reply_error(job, "Could not write the profile", err);
		else
			http_reply_strbuf(job, 200, DEBUG_PROFILE_TYPE, &out);
	}
	strbuf_free(&out);
	thread_snapshot_free(snapshot);
}

static void answer(struct http_job *job, const struct view *view)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->view = view;
	http_set_data(job, request, free);
	if (debug_param(job, "debug", 0, 0, 2, &request->debug))
		debug_submit(job, snapshot_work);
}

void debug_threads(struct http_job *job)
{
	answer(job, &view_threads);
}

void debug_threadcreate(struct http_job *job)
{
	answer(job, &view_creators);
}
