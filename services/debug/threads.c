/*
 * /debug/pprof/goroutine, goroutines, threads and threadcreate: all threads, as they stand now, or
 * what became of the program's within N seconds.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "debug/internal.h"
#include "diag/threads.h"

#define WINDOWS_MAX 8 /* each keeps a snapshot: some megabytes of 10,000 threads */

static atomic_uint window_count;

/* How snapshots become an answer: by debug=0, 1 and 2. */
struct view {
	int (*encode)(const struct thread_snapshot *before, const struct thread_snapshot *snapshot,
		struct strbuf *out);
	void (*print[2])(const struct thread_snapshot *before,
		const struct thread_snapshot *snapshot, struct strbuf *out);
};

static const struct view view_threads = {
	threads_encode, {threads_print_groups, threads_print_each}};
static const struct view view_creators = {
	threads_encode_creators, {threads_print_creators, threads_print_creators}};

struct request {
	const struct view *view;
	int64_t seconds, debug;
	bool is_window;                 /* and counted as one */
	struct thread_snapshot *before; /* with seconds=N: the first of the two */
};

static void free_request(void *data)
{
	struct request *request = data;

	if (request->is_window)
		atomic_fetch_sub(&window_count, 1);
	thread_snapshot_free(request->before);
	free(request);
}

static void reply_snapshot(struct http_job *job, const struct thread_snapshot *snapshot)
{
	const struct request *request = http_data(job);
	struct strbuf out = STRBUF_INIT;
	int err;

	if (request->debug > 0) {
		request->view->print[request->debug - 1](request->before, snapshot, &out);
		http_reply_strbuf(job, 200, DEBUG_TEXT_TYPE, &out);
		return;
	}
	err = request->view->encode(request->before, snapshot, &out);
	if (err)
		debug_reply_error(job, "Could not write the profile", err);
	else
		http_reply_strbuf(job, 200, DEBUG_PROFILE_TYPE, &out);
	strbuf_free(&out);
}

static http_handler wait_for_end;

/*
 * The first time with seconds=N it only keeps what it saw, and comes back. The threads that observe, this
 * one among them, are never seen at rest: a difference is of the program's own.
 */
static void snapshot_work(struct http_job *job)
{
	struct request *request = http_data(job);
	struct thread_snapshot *snapshot;
	int err = thread_snapshot_take(
		request->seconds > 0 ? PROBE_DUMP_PROGRAM : PROBE_DUMP_ALL, &snapshot);

	if (err) {
		debug_reply_error(job, "Could not dump the threads", err);
		return;
	}
	if (request->seconds > 0 && !request->before) {
		request->before = snapshot;
		http_continue(job, wait_for_end);
		return;
	}
	reply_snapshot(job, snapshot);
	thread_snapshot_free(snapshot);
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

static bool may_keep_a_snapshot(struct request *request)
{
	if (request->seconds == 0)
		return true;
	request->is_window = true;
	return atomic_fetch_add(&window_count, 1) < WINDOWS_MAX;
}

static void answer(struct http_job *job, const struct view *view)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->view = view;
	http_set_data(job, request, free_request);
	if (!debug_param(job, "seconds", 0, 0, DEBUG_SECONDS_MAX, &request->seconds) ||
		!debug_param(job, "debug", 0, 0, 2, &request->debug))
		return;
	if (may_keep_a_snapshot(request))
		take_snapshot(job);
	else
		http_reply_text(job, 503,
			"%d such windows are open already; try again when one has ended.",
			WINDOWS_MAX);
}

void debug_threads(struct http_job *job)
{
	answer(job, &view_threads);
}

void debug_threadcreate(struct http_job *job)
{
	answer(job, &view_creators);
}
