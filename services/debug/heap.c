/* /debug/pprof/heap and /allocs: a snapshot, the difference of two, or the exact profiler's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "debug/internal.h"
#include "debug/memstats.h"
#include "diag/heap.h"
#include "http/params.h"

struct request {
	bool show_alloc;
	int64_t seconds, debug;
	char exact[8], sampler[8];
	struct heap_snapshot *before; /* with seconds=N: the first of the two */
};

static void free_request(void *data)
{
	struct request *request = data;

	free(request->before);
	free(request);
}

static void reply_snapshot(
	struct http_job *job, const struct heap_snapshot *snapshot, int64_t duration_ns)
{
	const struct request *request = http_data(job);
	struct strbuf out = STRBUF_INIT;
	int err;

	if (request->debug > 0) {
		heap_print(snapshot, &out);
		memstats_print(&out);
		http_reply_strbuf(job, 200, DEBUG_TEXT_TYPE, &out);
		return;
	}
	err = heap_encode(snapshot, duration_ns, request->show_alloc, &out);
	if (err)
		debug_reply_error(job, "Could not write the heap profile", err);
	else
		http_reply_strbuf(job, 200, DEBUG_PROFILE_TYPE, &out);
	strbuf_free(&out);
}

static void delta_work(struct http_job *job)
{
	struct request *request = http_data(job);
	struct heap_snapshot *after = heap_snapshot();
	int64_t duration_ns = after->time_ns - request->before->time_ns;

	heap_snapshot_subtract(after, request->before);
	reply_snapshot(job, after, duration_ns);
	free(after);
}

static void end_delta(struct http_job *job)
{
	debug_submit(job, delta_work);
}

static void wait_for_delta(struct http_job *job)
{
	const struct request *request = http_data(job);

	http_after(job, (unsigned)request->seconds * 1000, end_delta);
}

static void snapshot_work(struct http_job *job)
{
	struct request *request = http_data(job);
	struct heap_snapshot *snapshot = heap_snapshot();

	if (!snapshot) {
		debug_reply_error(job, "No heap profile", -ENOTSUP);
		return;
	}
	if (request->seconds > 0) {
		request->before = snapshot;
		http_continue(job, wait_for_delta);
		return;
	}
	reply_snapshot(job, snapshot, 0);
	free(snapshot);
}

static void exact_snapshot(struct http_job *job)
{
	struct heap_snapshot *snapshot;
	int err = heap_exact_snapshot(&snapshot);

	if (err == -EBUSY) {
		http_reply_text(job, 409,
			"the exact heap profiler is not running; start it with ?exact=start");
	} else if (err) {
		debug_reply_error(job, "Could not read the exact heap profile", err);
	} else {
		reply_snapshot(job, snapshot, 0);
		free(snapshot);
	}
}

static void exact_work(struct http_job *job)
{
	const struct request *request = http_data(job);
	int err;

	if (strcmp(request->exact, "start") == 0) {
		err = heap_exact_start();
		if (err == -EBUSY)
			http_reply_text(job, 409, "the exact heap profiler is running already");
		else if (err)
			debug_reply_error(job, "Could not start the exact heap profiler", err);
		else
			http_reply_text(job, 200,
				"exact heap profiler started: every allocation is recorded now, "
				"and slow; read it with ?exact=1, end it with ?exact=stop");
	} else if (strcmp(request->exact, "stop") == 0) {
		err = heap_exact_stop();
		if (err == -EBUSY)
			http_reply_text(job, 409, "the exact heap profiler is not running");
		else if (err)
			debug_reply_error(job, "Could not stop the exact heap profiler", err);
		else
			http_reply_text(job, 200, "exact heap profiler stopped");
	} else if (strcmp(request->exact, "1") == 0) {
		exact_snapshot(job);
	} else {
		http_reply_text(job, 400, "exact must be start, 1 or stop");
	}
}

static void sampler_work(struct http_job *job)
{
	const struct request *request = http_data(job);
	int err;

	if (strcmp(request->sampler, "off") == 0) {
		heap_sampler_stop();
		http_reply_text(job, 200, "heap sampler is off; what it saw so far stays");
	} else if (strcmp(request->sampler, "on") == 0) {
		err = heap_sampler_start(HEAP_RATE_DEFAULT_BYTES);
		if (err)
			debug_reply_error(job, "Could not start the heap sampler", err);
		else
			http_reply_text(job, 200, "heap sampler is on, one sample in %d bytes",
				HEAP_RATE_DEFAULT_BYTES);
	} else {
		http_reply_text(job, 400, "sampler must be on or off");
	}
}

static void heap_request(struct http_job *job, bool show_alloc)
{
	struct request *request = xcalloc(1, sizeof(*request));
	const char *query = http_query(job);

	request->show_alloc = show_alloc;
	http_set_data(job, request, free_request);
	if (!debug_param(job, "seconds", 0, 0, DEBUG_SECONDS_MAX, &request->seconds) ||
		!debug_param(job, "debug", 0, 0, 2, &request->debug))
		return;
	if (params_string(query, "exact", "", request->exact, sizeof(request->exact)) != 0) {
		http_reply_text(job, 400, "exact must be start, 1 or stop");
		return;
	}
	if (params_string(query, "sampler", "", request->sampler, sizeof(request->sampler)) != 0) {
		http_reply_text(job, 400, "sampler must be on or off");
		return;
	}
	if (request->exact[0])
		debug_submit(job, exact_work);
	else if (request->sampler[0])
		debug_submit(job, sampler_work);
	else
		debug_submit(job, snapshot_work);
}

void debug_heap(struct http_job *job)
{
	heap_request(job, false);
}

void debug_allocs(struct http_job *job)
{
	heap_request(job, true);
}
