/* /metrics: what a Prometheus scrapes: the process's numbers, then those the program adds. */
#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/nofile.h"
#include "debug/debug.h"
#include "debug/internal.h"
#include "diag/malloc_stats.h"

#define COLLECTORS_MAX 8

static debug_collector *collectors[COLLECTORS_MAX];
static atomic_size_t collector_count;

void debug_metrics_add(debug_collector *collector)
{
	size_t count = atomic_load(&collector_count);

	assert(count < COLLECTORS_MAX);
	collectors[count] = collector;
	atomic_store(&collector_count, count + 1);
}

/* What cannot be read, -1, is left out: a gap is seen, a number would be believed. */
static void add(struct metrics_text *out, const char *name, enum metrics_type type,
	const char *help, double value)
{
	if (value < 0)
		return;
	metrics_text_family(out, name, type, help);
	metrics_text_sample(out, NULL, value);
}

static void add_descriptors(struct metrics_text *out)
{
	rlim_t limit = nofile_limit();
	struct process_fds fds;

	add(out, "process_max_fds", METRICS_GAUGE, "Soft limit of open file descriptors.",
		limit == RLIM_INFINITY ? INFINITY : (double)limit);
	if (process_fds(&fds) != 0)
		return;
	add(out, "process_open_fds", METRICS_GAUGE, "Open file descriptors.",
		(double)fds.open_count);
	add(out, "app_files_open", METRICS_GAUGE, "Open file descriptors that are regular files.",
		(double)fds.file_count);
	metrics_text_family(out, "app_http_connections_open", METRICS_GAUGE,
		"Open connections: TCP sockets that this process connected (client), connections "
		"to its HTTP server (server).");
	metrics_text_sample(out, METRICS_LABELS({"role", "client"}), (double)fds.client_count);
	metrics_text_sample(out, METRICS_LABELS({"role", "server"}), http_connection_count());
}

static void add_process(struct metrics_text *out)
{
	struct process_memory memory = process_memory();

	add(out, "app_pid", METRICS_GAUGE, "Process ID, as the process itself has it.", getpid());
	add(out, "process_start_time_seconds", METRICS_GAUGE,
		"When the process started, in seconds since the epoch.", process_start_time_s());
	add(out, "process_cpu_seconds_total", METRICS_COUNTER,
		"CPU time the process has used, user and system.", process_cpu_s());
	add(out, "process_resident_memory_bytes", METRICS_GAUGE,
		"Resident memory: what ps calls RSS.", (double)memory.resident_bytes);
	add(out, "process_virtual_memory_bytes", METRICS_GAUGE,
		"Virtual memory: what ps calls VSZ.", (double)memory.virtual_bytes);
	add(out, "app_threads", METRICS_GAUGE, "Threads of the process.",
		(double)process_thread_count());
}

/* As memstats has them; README.md says what they are made of. */
static void add_heap(struct metrics_text *out)
{
	struct malloc_stats stats = malloc_stats_read();

	if (stats.heap_bytes == 0)
		return; /* this build has no tcmalloc */
	add(out, "app_heap_allocated_bytes", METRICS_GAUGE,
		"Heap the program has allocated and not freed.", (double)stats.allocated_bytes);
	add(out, "app_heap_inuse_bytes", METRICS_GAUGE,
		"Heap in spans in use, the free blocks in them included.",
		(double)stats.inuse_bytes);
	add(out, "app_heap_free_bytes", METRICS_GAUGE, "Heap in free spans, still resident.",
		(double)stats.free_bytes);
	add(out, "app_heap_released_bytes", METRICS_GAUGE,
		"Heap in free spans that was given back to the system.",
		(double)stats.released_bytes);
}

static void add_answers(const char *path, const uint64_t counts[HTTP_STATUS_CLASSES], void *context)
{
	static const char *const statuses[HTTP_STATUS_CLASSES] = {
		"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

	for (int i = 0; i < HTTP_STATUS_CLASSES; i++)
		if (counts[i] > 0)
			metrics_text_sample(context,
				METRICS_LABELS({"route", path}, {"status", statuses[i]}),
				(double)counts[i]);
}

static void metrics_work(struct http_job *job)
{
	struct metrics_text out = METRICS_TEXT_INIT;

	add_descriptors(&out);
	add_process(&out);
	add_heap(&out);
	metrics_text_family(&out, "app_http_requests_total", METRICS_COUNTER,
		"HTTP requests by route and status; none: cut off, or the client left. Static files "
		"and what cannot be read as HTTP are not among them.");
	http_answers_for_each(add_answers, &out);
	for (size_t i = 0; i < atomic_load(&collector_count); i++)
		collectors[i](&out);
	http_reply_strbuf(job, 200, METRICS_TEXT_TYPE, &out.text);
	strbuf_free(&out.text);
}

void debug_metrics(struct http_job *job)
{
	debug_submit(job, metrics_work);
}
