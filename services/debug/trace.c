/* /debug/pprof/trace: a Perfetto trace of the next seconds. */
#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "debug/internal.h"
#include "debug/trace_requests.h"
#include "debug/window.h"
#include "diag/cpu_sampler.h"
#include "diag/heap.h"
#include "diag/malloc_stats.h"
#include "probe/thread.h"
#include "trace/session.h"

/* ---- what is counted ---- */

static int64_t heap_bytes(void)
{
	return (int64_t)malloc_stats_read().allocated_bytes;
}

/* Ever, as the sampler estimates it. */
static int64_t allocated_bytes(void)
{
	struct heap_snapshot *sampled = heap_snapshot();
	int64_t bytes = sampled ? (int64_t)heap_snapshot_total(sampled, HEAP_ALLOC_BYTES) : -1;

	free(sampled);
	return bytes;
}

static int64_t rss_bytes(void)
{
	return process_memory().resident_bytes;
}

static int64_t thread_count(void)
{
	return (int64_t)probe_thread_count();
}

static int64_t connection_count(void)
{
	return http_connection_count();
}

static const struct trace_counter counters[] = {
	{TRACE_HEAP_COUNTER, "bytes", heap_bytes},
	{"allocated", "bytes", allocated_bytes},
	{"RSS", "bytes", rss_bytes},
	{"threads", "count", thread_count},
	{"open descriptors", "count", process_fd_count},
	{"connections", "count", connection_count},
};

/* ---- the window ---- */

struct session {
	bool is_running;
	int64_t due_ns;
	bool has_samples;
	struct cpu_listener samples;
};

static void on_sample(const struct probe_stack *stack, void *context)
{
	(void)context;
	trace_add_sample(stack);
}

static int start(int64_t seconds, int64_t hz, void **result)
{
	struct session *session;
	int err = trace_start(&(struct trace_config){
		.process_name = program_invocation_short_name,
		.seconds = seconds,
		.counters = counters,
		.counter_count = sizeof(counters) / sizeof(counters[0]),
	});

	(void)hz;
	if (err)
		return err;
	session = xcalloc(1, sizeof(*session));
	session->is_running = true;
	session->samples.on_sample = on_sample;
	/* Without them it is a trace all the same. */
	session->has_samples = cpu_sampler_join(&session->samples) == 0;
	trace_requests_watch();
	session->due_ns = clock_monotonic_ns() + TRACE_TURN_MS * CLOCK_NS_PER_MS;
	*result = session;
	return 0;
}

static int64_t due_ns(void *data)
{
	return ((const struct session *)data)->due_ns;
}

static void turn(void *data)
{
	struct session *session = data;

	session->due_ns = clock_monotonic_ns() + TRACE_TURN_MS * CLOCK_NS_PER_MS;
	trace_turn();
}

static void end(struct session *session)
{
	trace_requests_unwatch();
	if (session->has_samples)
		cpu_sampler_leave(&session->samples);
	session->is_running = false;
}

static int stop(void *data, struct strbuf *out)
{
	end(data);
	return trace_stop(out);
}

static void free_session(void *data)
{
	struct session *session = data;

	if (session->is_running) {
		end(session);
		trace_drop();
	}
	free(session);
}

void debug_trace(struct http_job *job)
{
	static const struct debug_window window = {
		.what = "trace",
		.busy = "A trace is being taken already; it ends by itself, or with the client "
			"that asked for it",
		.start = start,
		.due_ns = due_ns,
		.turn = turn,
		.stop = stop,
		.free_session = free_session,
	};
	int64_t seconds;

	if (debug_param(job, "seconds", 1, 1, DEBUG_SECONDS_MAX, &seconds))
		debug_window_run(job, &window, seconds, 0);
}
