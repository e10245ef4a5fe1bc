#include "diag/sched.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "diag/creator.h"
#include "diag/profile.h"
#include "probe/task.h"
#include "probe/thread.h"

#define PORTION 64

/* What a thread of the start had on its account. */
struct base {
	uint64_t number;
	int64_t delay_ns;
};

/* A thread whose files are being read, without the list's lock: it may end meanwhile. */
struct reading {
	uint64_t number; /* 0: it ended, and was counted by its own hand */
	pid_t tid;
	int64_t created_ns;
	uintptr_t created_by_pc;
	const struct depot_stack *created_by;

	int err;
	int64_t delay_ns;
	char name[PROBE_NAME_BYTES];
};

/* Everything but the times is guarded by the list's lock: threads that end come by themselves. */
struct sched_profile {
	int64_t start_real_ns, start_ns;
	struct base *bases; /* by number */
	size_t base_count, base_cap;
	size_t ended_count, failed_count;
	int failed_err;
	struct profile *profile;

	struct reading portion[PORTION];
	size_t portion_count;
	/* Threads up to here were counted as living ones. */
	uint64_t counted_number;

	struct sched_profile *next;
};

static struct sched_profile *running; /* guarded by the list's lock */

/* ---- counting, with the list locked ---- */

static int compare_bases(const void *a, const void *b)
{
	uint64_t x = ((const struct base *)a)->number, y = ((const struct base *)b)->number;

	return x < y ? -1 : x > y;
}

/* What the thread waited within the window, until now. */
static int64_t delay_of(const struct sched_profile *sched, const struct reading *reading)
{
	const struct base key = {.number = reading->number};
	const struct base *base = NULL;

	if (reading->created_ns >= sched->start_ns)
		return reading->delay_ns;
	if (sched->base_count > 0)
		base = bsearch(&key, sched->bases, sched->base_count, sizeof(key), compare_bases);
	/* No base: it could not be read at the start, and what it had by then is not known. */
	return base ? reading->delay_ns - base->delay_ns : 0;
}

static void count_thread(struct sched_profile *sched, const struct reading *reading, bool with_name)
{
	const struct profile_label name = {.key = "thread", .text = reading->name};
	const int64_t values[] = {1, delay_of(sched, reading)};
	struct thread_stack stack = creator_stack(reading->created_by, &reading->created_by_pc);

	profile_add_sample(
		sched->profile, stack.pcs, stack.pc_count, values, &name, with_name ? 1 : 0);
}

static void note_failed(struct sched_profile *sched, int err)
{
	sched->failed_count++;
	sched->failed_err = err;
}

/* ---- threads that end ---- */

/* Who reads its files just now need not: it has counted itself. */
static void strike_from_portion(struct sched_profile *sched, uint64_t number)
{
	for (size_t i = 0; i < sched->portion_count; i++)
		if (sched->portion[i].number == number)
			sched->portion[i].number = 0;
}

static void on_end(struct probe_thread *thread)
{
	struct reading reading = {
		.number = thread->number,
		.created_ns = thread->created_ns,
		.created_by_pc = thread->created_by_pc,
		.created_by = thread->created_by,
	};
	struct probe_task_sched now;

	if (!running || thread->observer)
		return;
	reading.err = probe_task_sched(thread->tid, &now);
	reading.delay_ns = now.delay_ns;
	memcpy(reading.name, thread->name, sizeof(reading.name));
	for (struct sched_profile *sched = running; sched; sched = sched->next) {
		if (thread->number <= sched->counted_number)
			continue;
		strike_from_portion(sched, thread->number);
		if (reading.err)
			note_failed(sched, reading.err);
		else
			count_thread(sched, &reading, sched->ended_count++ < SCHED_NAMES_MAX);
	}
}

static void subscribe(void)
{
	static const struct probe_thread_listener listener = {.on_end = on_end};

	probe_thread_subscribe(&listener);
}

/* ---- threads that live ---- */

/* With the list locked. */
static void note_thread(struct probe_thread *thread, void *context)
{
	struct sched_profile *sched = context;
	struct reading *reading;

	if (thread->observer)
		return;
	reading = &sched->portion[sched->portion_count++];
	*reading = (struct reading){
		.number = thread->number,
		.tid = thread->tid,
		.created_ns = thread->created_ns,
		.created_by_pc = thread->created_by_pc,
		.created_by = thread->created_by,
	};
	memcpy(reading->name, thread->name, sizeof(reading->name));
}

/* With the list locked. */
static void keep_bases(void *context)
{
	struct sched_profile *sched = context;

	for (size_t i = 0; i < sched->portion_count; i++) {
		const struct reading *reading = &sched->portion[i];

		if (reading->number == 0 || reading->err)
			continue;
		if (sched->base_count == sched->base_cap) {
			sched->base_cap = sched->base_cap ? 2 * sched->base_cap : 64;
			sched->bases = xrealloc(
				sched->bases, sched->base_cap, sizeof(sched->bases[0]));
		}
		sched->bases[sched->base_count++] = (struct base){
			reading->number, reading->delay_ns};
	}
	sched->portion_count = 0;
}

/* With the list locked. */
static void count_portion(void *context)
{
	struct sched_profile *sched = context;

	for (size_t i = 0; i < sched->portion_count; i++) {
		const struct reading *reading = &sched->portion[i];

		if (reading->number == 0)
			continue;
		sched->counted_number = reading->number;
		if (reading->err)
			note_failed(sched, reading->err);
		else
			count_thread(sched, reading, true);
	}
	sched->portion_count = 0;
}

/* Without the lock: only `number` may change meanwhile, and nobody looks at it. */
static void read_portion(struct sched_profile *sched)
{
	struct probe_task_sched now = {0};

	for (size_t i = 0; i < sched->portion_count; i++) {
		struct reading *reading = &sched->portion[i];

		reading->err = probe_task_sched(reading->tid, &now);
		reading->delay_ns = now.delay_ns;
	}
}

/* Reads all threads, and hands each portion to DONE with the list locked. */
static void read_all(struct sched_profile *sched, void (*done)(void *sched))
{
	struct probe_thread_walk walk;

	probe_thread_walk_begin(&walk);
	while (probe_thread_walk_next(&walk, PORTION, note_thread, sched) > 0) {
		read_portion(sched);
		probe_thread_locked(done, sched);
	}
	probe_thread_walk_end(&walk);
}

/* ---- the window ---- */

static void link_running(void *context)
{
	struct sched_profile *sched = context;

	sched->next = running;
	running = sched;
}

static void unlink_running(void *context)
{
	struct sched_profile **link = &running;

	while (*link && *link != context)
		link = &(*link)->next;
	if (*link)
		*link = (*link)->next;
}

/* A thread that asks has run: a kernel that says otherwise keeps no such accounts. */
static bool is_measured(void)
{
	struct probe_task_sched own;

	return probe_task_sched(gettid(), &own) == 0 && (own.run_ns > 0 || own.delay_ns > 0);
}

static struct sched_profile *start(void)
{
	struct sched_profile *sched = xcalloc(1, sizeof(*sched));

	sched->profile = profile_create(&(struct profile_config){
		.values = {{"threads", "count"}, {"delay", "nanoseconds"}},
		.value_count = 2,
		.period_type = {"threads", "count"},
		.period = 1,
		.default_type = "delay",
	});
	sched->start_real_ns = clock_realtime_ns();
	sched->start_ns = clock_monotonic_ns();
	probe_thread_locked(link_running, sched);
	read_all(sched, keep_bases);
	return sched;
}

int sched_profile_start(struct sched_profile **profile)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int err = -ENOTSUP;

	probe_observe_begin();
	if (is_measured()) {
		pthread_once(&once, subscribe);
		*profile = start();
		err = 0;
	}
	probe_observe_end();
	return err;
}

static int encode(struct sched_profile *sched, struct strbuf *out)
{
	struct strbuf comment = STRBUF_INIT;
	int err;

	if (sched->failed_count > 0)
		strbuf_printf(&comment, "%zu threads could not be read: %s", sched->failed_count,
			strerror(-sched->failed_err));
	profile_set_time(
		sched->profile, sched->start_real_ns, clock_monotonic_ns() - sched->start_ns);
	profile_set_comment(sched->profile, comment.data);
	err = profile_encode(sched->profile, out);
	strbuf_free(&comment);
	return err;
}

int sched_profile_stop(struct sched_profile *sched, struct strbuf *out)
{
	int err;

	probe_observe_begin();
	/* The creators of the youngest threads may still be on their way through the unwinder. */
	probe_births_flush();
	read_all(sched, count_portion);
	probe_thread_locked(unlink_running, sched);
	err = encode(sched, out);
	probe_observe_end();
	return err;
}

void sched_profile_free(struct sched_profile *sched)
{
	if (!sched)
		return;
	probe_observe_begin();
	probe_thread_locked(unlink_running, sched);
	profile_free(sched->profile);
	free(sched->bases);
	free(sched);
	probe_observe_end();
}
