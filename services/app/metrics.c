#include "app/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

/* From what a well patient needs to what a burning one does. */
static const int64_t bounds_ns[] = {100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
	25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000,
	10000000000};

#define BOUNDS (sizeof(bounds_ns) / sizeof(bounds_ns[0]))
#define VARIANTS 2
#define SHARDS 8
#define STEP_NAME_BYTES 32

/*
 * Threads that count at once get a shard each, as far as there are enough: a cache line that wanders
 * between CPUs costs ten times the counting. One number serves both families: a request is in one bucket
 * of one outcome.
 */
static struct shard {
	atomic_uint_least64_t counts[STEP_COUNT][VARIANTS][METRICS_OUTCOMES][BOUNDS + 1];
	atomic_uint_least64_t sums_ns[STEP_COUNT];
} __attribute__((aligned(64))) shards[SHARDS];

static struct shard *own_shard(void)
{
	static _Thread_local struct shard *own;
	static atomic_uint given_count;

	if (!own)
		own = &shards[atomic_fetch_add(&given_count, 1) % SHARDS];
	return own;
}

void metrics_count_request(
	const struct step_turn *turn, enum metrics_outcome outcome, int64_t duration_ns)
{
	struct shard *shard = own_shard();
	size_t bucket = 0;

	while (bucket < BOUNDS && duration_ns > bounds_ns[bucket])
		bucket++;
	atomic_fetch_add_explicit(
		&shard->counts[turn->step][turn->fixed][outcome][bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&shard->sums_ns[turn->step], duration_ns, memory_order_relaxed);
}

static const char *spell_step(int step, char name[STEP_NAME_BYTES])
{
	snprintf(name, STEP_NAME_BYTES, "%s", step_fault(step)->name);
	for (char *blank = name; (blank = strchr(blank, ' '));)
		*blank = '_';
	return name;
}

static const char *spell_variant(bool fixed)
{
	return fixed ? "fixed" : "leaky";
}

static uint64_t count_of(int step, int variant, int outcome, size_t bucket)
{
	uint64_t count = 0;

	for (int i = 0; i < SHARDS; i++)
		count += atomic_load_explicit(
			&shards[i].counts[step][variant][outcome][bucket], memory_order_relaxed);
	return count;
}

static double seconds_of(int step)
{
	uint64_t sum_ns = 0;

	for (int i = 0; i < SHARDS; i++)
		sum_ns += atomic_load_explicit(&shards[i].sums_ns[step], memory_order_relaxed);
	return (double)sum_ns / CLOCK_NS_PER_SEC;
}

static void add_requests(struct metrics_text *out, int step, int variant)
{
	static const char *const outcomes[METRICS_OUTCOMES] = {
		[METRICS_OK] = "ok", [METRICS_FAILED] = "failed", [METRICS_LEFT] = "left"};
	char name[STEP_NAME_BYTES];

	for (int outcome = 0; outcome < METRICS_OUTCOMES; outcome++) {
		uint64_t count = 0;

		for (size_t bucket = 0; bucket <= BOUNDS; bucket++)
			count += count_of(step, variant, outcome, bucket);
		metrics_text_sample(out,
			METRICS_LABELS({"step", spell_step(step, name)},
				{"variant", spell_variant(variant)},
				{"outcome", outcomes[outcome]}),
			(double)count);
	}
}

static void add_durations(struct metrics_text *out, int step)
{
	uint64_t buckets[BOUNDS + 1] = {0};
	char name[STEP_NAME_BYTES];
	double bounds[BOUNDS];

	for (size_t bucket = 0; bucket <= BOUNDS; bucket++)
		for (int variant = 0; variant < VARIANTS; variant++)
			for (int outcome = 0; outcome < METRICS_OUTCOMES; outcome++)
				buckets[bucket] += count_of(step, variant, outcome, bucket);
	for (size_t i = 0; i < BOUNDS; i++)
		bounds[i] = (double)bounds_ns[i] / CLOCK_NS_PER_SEC;
	metrics_text_histogram(out, METRICS_LABELS({"step", spell_step(step, name)}),
		&(struct metrics_histogram){bounds, BOUNDS, buckets, seconds_of(step)});
}

static void add_step(struct metrics_text *out)
{
	char name[STEP_NAME_BYTES], number[12];
	bool fixed;
	int step = step_current(&fixed);

	snprintf(number, sizeof(number), "%d", step);
	metrics_text_family(
		out, "app_step", METRICS_GAUGE, "The step the patient is at: always 1.");
	metrics_text_sample(out,
		METRICS_LABELS({"number", number}, {"name", spell_step(step, name)},
			{"variant", spell_variant(fixed)}),
		1);
}

void metrics_collect(struct metrics_text *out)
{
	add_step(out);
	metrics_text_family(out, "app_requests_total", METRICS_COUNTER,
		"Requests whose business has ended; failed: with an error; left: done, but the "
		"client has gone.");
	for (int step = 0; step < STEP_COUNT; step++)
		for (int variant = 0; variant < VARIANTS; variant++)
			add_requests(out, step, variant);
	metrics_text_family(out, "app_request_duration_seconds", METRICS_HISTOGRAM,
		"How long their business took.");
	for (int step = 0; step < STEP_COUNT; step++)
		add_durations(out, step);
}
