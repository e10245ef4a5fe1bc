#include "trace/session.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "probe/thread.h"
#include "trace/births.h"
#include "trace/calls.h"
#include "trace/writer.h"
#include "trace/encode.h"
#include "trace/reader.h"
#include "trace/stacks.h"

/* Before any was seen: a request with a handful of system calls and their stacks. */
#define FIRST_COST_BYTES 2000
#define TICKS_MAX 100 /* of a sample: a second, where the thread had no time for its timer */
#define COUNTERS_EVERY_NS (100 * CLOCK_NS_PER_MS)
/* Apart from the numbers of all other tracks. */
#define OWN_TRACK 0x51CBA70300000000u

static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the struct below */
static struct {
	bool is_ready, is_running;
	struct trace_config config;
	struct strbuf out;
	struct encoder *encoder;
	struct reader *reader;
	int64_t start_ns, turned_ns, counted_ns;

	/* The budget. */
	int64_t bytes_per_second, cost_bytes;
	size_t paid_bytes; /* of out */
	uint64_t charged_count;
	uint64_t births_dropped_before;
} session;

int trace_init(void)
{
	int err = writers_init();

	if (err)
		return err;
	births_init();
	session.is_ready = true;
	return 0;
}

/* ---- counters ---- */

static void count(int64_t now_ns)
{
	if (now_ns - session.counted_ns < COUNTERS_EVERY_NS)
		return;
	session.counted_ns = now_ns;
	for (size_t i = 0; i < session.config.counter_count; i++) {
		const struct trace_counter *counter = &session.config.counters[i];
		int64_t value = counter->read();

		if (value >= 0)
			reader_count(session.reader, counter->name, counter->unit,
				clock_monotonic_ns(), value);
	}
}

/* ---- the budget ---- */

/*
 * Outermost slices were charged with what they cost on the average; what everything really cost since
 * the last turn is known now.
 */
static void settle(int64_t now_ns)
{
	int64_t income_bytes = session.bytes_per_second * (now_ns - session.turned_ns) /
			       CLOCK_NS_PER_SEC;
	int64_t real_bytes = (int64_t)(session.out.len_bytes - session.paid_bytes);
	uint64_t admitted = writer_counts().admitted;
	int64_t new_count = (int64_t)(admitted - session.charged_count);

	writers_add_credit(income_bytes + new_count * session.cost_bytes - real_bytes,
		session.bytes_per_second);
	if (new_count > 0) {
		session.cost_bytes = (session.cost_bytes + real_bytes / new_count) / 2 + 1;
		writers_set_cost(session.cost_bytes);
	}
	session.charged_count = admitted;
	session.paid_bytes = session.out.len_bytes;
	session.turned_ns = now_ns;
}

static void turn(void)
{
	int64_t now_ns = clock_monotonic_ns();

	count(now_ns);
	reader_turn(session.reader);
	settle(now_ns);
}

/* ---- from start to end ---- */

static int64_t budget_of(int64_t seconds)
{
	int64_t share_bytes = TRACE_BYTES_MAX / (seconds > 0 ? seconds : 1);

	return share_bytes < TRACE_BYTES_PER_SECOND ? share_bytes : TRACE_BYTES_PER_SECOND;
}

static int start_locked(const struct trace_config *config)
{
	int err;

	if (!session.is_ready)
		return -ENOMEM;
	if (session.is_running)
		return -EBUSY;
	err = stacks_start();
	if (err)
		return err;
	session.config = *config;
	session.out = (struct strbuf)STRBUF_INIT;
	session.encoder = encoder_create(getpid(), config->process_name, &session.out);
	session.start_ns = session.turned_ns = clock_monotonic_ns();
	session.counted_ns = 0;
	session.bytes_per_second = budget_of(config->seconds);
	session.cost_bytes = FIRST_COST_BYTES;
	session.paid_bytes = 0;
	session.charged_count = 0;
	session.births_dropped_before = births_dropped_count();
	session.reader = reader_create(session.encoder, session.start_ns);
	session.is_running = true;
	reader_discard();
	writers_set_cost(session.cost_bytes);
	writers_start(session.bytes_per_second);
	calls_listen();
	turn();
	return 0;
}

int trace_start(const struct trace_config *config)
{
	int err;

	probe_observe_begin();
	pthread_mutex_lock(&session_lock);
	err = start_locked(config);
	pthread_mutex_unlock(&session_lock);
	probe_observe_end();
	return err;
}

void trace_turn(void)
{
	probe_observe_begin();
	pthread_mutex_lock(&session_lock);
	if (session.is_running)
		turn();
	pthread_mutex_unlock(&session_lock);
	probe_observe_end();
}

void trace_add_sample(const struct probe_stack *stack)
{
	pthread_mutex_lock(&session_lock);
	/* Readers count samples: one that stands for several ticks is as many. */
	if (session.is_running && stack->time_ns >= session.start_ns)
		for (uint64_t tick = 0; tick < stack->tag && tick < TICKS_MAX; tick++)
			encode_sample(session.encoder, stack->time_ns, stack->tid, stack->pcs,
				stack->pc_count);
	pthread_mutex_unlock(&session_lock);
}

/* What the trace does not have, in the trace and in the log. */
static void report(void)
{
	struct writer_counts counts = writer_counts();
	uint64_t dropped = counts.dropped + births_dropped_count() - session.births_dropped_before;
	struct encoder_event event = {
		.type = ENCODER_INSTANT,
		.time_ns = clock_monotonic_ns(),
		.track = OWN_TRACK,
		.name = "end of trace",
		.category = "trace",
		.details = {{"thinned", NULL, (int64_t)counts.thinned},
			{"recorded", NULL, (int64_t)counts.admitted},
			{"dropped", NULL, (int64_t)dropped}},
		.detail_count = 3,
	};

	encode_named_track(session.encoder, OWN_TRACK, "this trace");
	encode_event(session.encoder, &event);
	if (counts.thinned > 0)
		log_printf("trace: %" PRIu64 " of %" PRIu64
			   " outermost slices are in it, the others would have made it too large",
			counts.admitted, counts.admitted + counts.thinned);
	if (dropped > 0)
		log_printf("trace: %" PRIu64 " records were dropped, no room was left for them",
			dropped);
}

/* OUT NULL: the trace is not wanted. */
static int stop_locked(struct strbuf *out)
{
	bool is_quiet;

	if (!session.is_running)
		return -EBUSY;
	calls_unlisten();
	is_quiet = writers_stop();
	session.counted_ns = 0;
	turn();
	reader_finish(session.reader);
	report();
	/* A thread that was stopped while it captured its stack may still write to the ring. */
	if (is_quiet)
		stacks_stop();
	if (out)
		strbuf_add(out, session.out.data, session.out.len_bytes);
	reader_free(session.reader);
	encoder_free(session.encoder);
	strbuf_free(&session.out);
	session.is_running = false;
	return 0;
}

static int stop(struct strbuf *out)
{
	int err;

	probe_observe_begin();
	pthread_mutex_lock(&session_lock);
	err = stop_locked(out);
	pthread_mutex_unlock(&session_lock);
	probe_observe_end();
	return err;
}

int trace_stop(struct strbuf *out)
{
	return stop(out);
}

void trace_drop(void)
{
	(void)stop(NULL);
}
