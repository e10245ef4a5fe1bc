#include "desk/vitals.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "desk/hub.h"

enum column {
	LATENCY_MS,
	CPU_PERCENT,
	RSS_BYTES,
	HEAP_IN_USE_BYTES,
	HEAP_ALLOCATED_BYTES,
	THREADS,
	FDS,
	CONNECTIONS,
	COLUMN_COUNT
};

static const char *const names[COLUMN_COUNT] = {
	[LATENCY_MS] = "latency_ms",
	[CPU_PERCENT] = "cpu_percent",
	[RSS_BYTES] = "rss_bytes",
	[HEAP_IN_USE_BYTES] = "heap_in_use_bytes",
	[HEAP_ALLOCATED_BYTES] = "heap_allocated_bytes",
	[THREADS] = "threads",
	[FDS] = "fds",
	[CONNECTIONS] = "connections",
};

struct sample {
	int64_t time_ns; /* since 1970 */
	double values[COLUMN_COUNT];
};

struct mark {
	size_t number; /* the first is 1 */
	int64_t time_ns;
	char text[VITALS_MARK_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct sample samples[VITALS_LENGTH];             /* number N is at N modulo their length */
static size_t sample_count;
static struct mark marks[VITALS_MARKS_MAX];
static size_t mark_count;
static double own_ms; /* of the desk's own requests that ended since the newest sample, the sum */
static size_t own_count;

/* ---- JSON ---- */

static void add_time(struct strbuf *out, int64_t time_ns)
{
	strbuf_printf(out, "%.3f", (double)time_ns / CLOCK_NS_PER_SEC);
}

static void add_value(struct strbuf *out, double value)
{
	if (isnan(value))
		strbuf_puts(out, "null");
	else
		strbuf_printf(out, "%.10g", round(value * 1000) / 1000);
}

static void add_mark(struct strbuf *out, const struct mark *mark)
{
	strbuf_printf(out, "{\"number\":%zu,\"t\":", mark->number);
	add_time(out, mark->time_ns);
	strbuf_puts(out, ",\"text\":\"");
	strbuf_json_escape(out, mark->text, strlen(mark->text));
	strbuf_puts(out, "\"}");
}

/* With the lock held. */
static void add_numbers(struct strbuf *out)
{
	strbuf_printf(out, "{\"number\":%zu,\"mark_number\":%zu,", sample_count, mark_count);
}

/* With the lock held. */
static void add_newest(struct strbuf *out)
{
	const struct sample *sample = &samples[(sample_count - 1) % VITALS_LENGTH];

	add_numbers(out);
	strbuf_puts(out, "\"t\":");
	add_time(out, sample->time_ns);
	for (int i = 0; i < COLUMN_COUNT; i++) {
		strbuf_printf(out, ",\"%s\":", names[i]);
		add_value(out, sample->values[i]);
	}
	strbuf_puts(out, "}");
}

/* ---- what comes ---- */

/* NAN stays. */
static double not_below_0(double value)
{
	return value < 0 ? 0 : value;
}

static void fill(struct sample *sample, const struct patient_numbers *now,
	const struct patient_numbers *before, double elapsed_s)
{
	double answers = now->answers - before->answers; /* NAN where one of them is */

	sample->values[RSS_BYTES] = now->rss_bytes;
	sample->values[HEAP_IN_USE_BYTES] = now->heap_in_use_bytes;
	sample->values[HEAP_ALLOCATED_BYTES] = now->heap_allocated_bytes;
	sample->values[THREADS] = now->threads;
	sample->values[FDS] = now->fds;
	sample->values[CONNECTIONS] = now->connections;
	if (now->start_s != before->start_s)
		return; /* another process: it counts anew */
	sample->values[CPU_PERCENT] = not_below_0(100 * (now->cpu_s - before->cpu_s) / elapsed_s);
	if (answers > 0)
		sample->values[LATENCY_MS] = not_below_0(
			1000 * (now->answers_s - before->answers_s) / answers);
}

/* With the lock held. NAN gives way. */
static void add_own_latency(struct sample *sample, int64_t waiting_ms)
{
	double *latency_ms = &sample->values[LATENCY_MS];

	if (own_count)
		*latency_ms = fmax(*latency_ms, own_ms / (double)own_count);
	if (waiting_ms > 0)
		*latency_ms = fmax(*latency_ms, (double)waiting_ms);
	own_ms = 0;
	own_count = 0;
}

void vitals_add_answer(double ms)
{
	pthread_mutex_lock(&lock);
	own_ms += ms;
	own_count++;
	pthread_mutex_unlock(&lock);
}

void vitals_add(const struct patient_numbers *numbers, int64_t waiting_ms)
{
	static struct patient_numbers before; /* of the process that began at 0: none */
	static int64_t before_ns;             /* of the monotonic clock */
	struct sample sample = {.time_ns = clock_realtime_ns()};
	struct strbuf json = STRBUF_INIT;
	int64_t now_ns = clock_monotonic_ns();

	for (int i = 0; i < COLUMN_COUNT; i++)
		sample.values[i] = NAN;
	if (numbers) {
		fill(&sample, numbers, &before, (double)(now_ns - before_ns) / CLOCK_NS_PER_SEC);
		before = *numbers;
		before_ns = now_ns;
	}
	pthread_mutex_lock(&lock);
	add_own_latency(&sample, waiting_ms);
	samples[sample_count++ % VITALS_LENGTH] = sample;
	add_newest(&json);
	pthread_mutex_unlock(&lock);
	hub_publish("vitals", &json);
	strbuf_free(&json);
}

void vitals_mark_at(const char *text, int64_t time_ns)
{
	struct mark mark = {.time_ns = time_ns};
	struct strbuf json = STRBUF_INIT;

	snprintf(mark.text, sizeof(mark.text), "%s", text);
	pthread_mutex_lock(&lock);
	mark.number = mark_count + 1;
	marks[mark_count++ % VITALS_MARKS_MAX] = mark;
	pthread_mutex_unlock(&lock);
	add_mark(&json, &mark);
	hub_publish_passing("mark", &json);
	strbuf_free(&json);
}

void vitals_mark(const char *text)
{
	vitals_mark_at(text, clock_realtime_ns());
}

/* ---- /vitals ---- */

static size_t first_of(size_t count, size_t length)
{
	return count > length ? count - length : 0;
}

/* With the lock held. COLUMN -1: the times. */
static void add_column(struct strbuf *out, int column)
{
	size_t first = first_of(sample_count, VITALS_LENGTH);

	strbuf_printf(out, "\"%s\":[", column < 0 ? "t" : names[column]);
	for (size_t i = first; i < sample_count; i++) {
		const struct sample *sample = &samples[i % VITALS_LENGTH];

		if (i > first)
			strbuf_puts(out, ",");
		if (column < 0)
			add_time(out, sample->time_ns);
		else
			add_value(out, sample->values[column]);
	}
	strbuf_puts(out, "],");
}

/* With the lock held. */
static void add_marks(struct strbuf *out)
{
	size_t first = first_of(sample_count, VITALS_LENGTH);
	int64_t since_ns = sample_count ? samples[first % VITALS_LENGTH].time_ns : 0;
	const char *comma = "";

	strbuf_puts(out, "\"marks\":[");
	for (size_t i = first_of(mark_count, VITALS_MARKS_MAX); i < mark_count; i++) {
		const struct mark *mark = &marks[i % VITALS_MARKS_MAX];

		if (mark->time_ns < since_ns)
			continue;
		strbuf_puts(out, comma);
		add_mark(out, mark);
		comma = ",";
	}
	strbuf_puts(out, "]");
}

static void on_vitals(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;

	pthread_mutex_lock(&lock);
	add_numbers(&out);
	for (int column = -1; column < COLUMN_COUNT; column++)
		add_column(&out, column);
	add_marks(&out);
	pthread_mutex_unlock(&lock);
	strbuf_puts(&out, "}\n");
	http_header(job, "cache-control", "no-store");
	http_header(job, "x-content-type-options", "nosniff");
	http_reply_strbuf(job, 200, "application/json", &out);
}

void vitals_mount(struct http_server *server)
{
	static const struct http_route route = {"/vitals", HTTP_GET, on_vitals, NULL};

	http_server_add_routes(server, &route, 1);
}
