#include "probe/dump.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "probe/portion.h"
#include "probe/unwind.h"

/* Portions that were left behind with a thread still writing into one of their slots. */
#define ABANDONED_MAX 4
/* How long all portions of a dump together wait for threads that do not answer. */
#define PATIENCE_NS (300 * CLOCK_NS_PER_MS)

/* Guards everything below: one dump at a time. */
static pthread_mutex_t dump_lock = PTHREAD_MUTEX_INITIALIZER;
static struct portion *abandoned[ABANDONED_MAX];
static bool handler_is_set;

struct dump {
	enum probe_dump_scope scope;
	probe_on_dumped *on_dumped;
	void *context;
	struct portion *portion;
	int64_t patience_ns;
	pid_t *tids; /* of all threads seen */
	size_t tid_count, tid_cap;
};

/* ---- asking ---- */

static void remember_tid(struct dump *dump, pid_t tid)
{
	if (dump->tid_count == dump->tid_cap) {
		dump->tid_cap = dump->tid_cap ? 2 * dump->tid_cap : 1024;
		dump->tids = xrealloc(dump->tids, dump->tid_cap, sizeof(dump->tids[0]));
	}
	dump->tids[dump->tid_count++] = tid;
}

/* With the list locked. */
static void ask(struct probe_thread *thread, void *context)
{
	struct dump *dump = context;

	remember_tid(dump, thread->tid);
	if (dump->scope == PROBE_DUMP_ALL || !thread->observer)
		portion_ask(dump->portion, thread);
}

/* ---- handing on ---- */

static void hand_on_unwound(struct dump *dump, struct dump_slot *slot)
{
	struct probe_dumped *dumped = &slot->dumped;

	dumped->answer = PROBE_ANSWERED;
	dumped->time_ns = slot->copy.time_ns;
	dumped->pc_count = unwind_walk(&slot->copy, dumped->pcs, PROBE_STACK_MAX);
	dumped->truncated = slot->copy.truncated || dumped->pc_count == PROBE_STACK_MAX;
	dump->on_dumped(dumped, dump->context);
}

static void hand_on_silent(struct dump *dump, struct dump_slot *slot, enum slot_state state)
{
	const struct probe_dumped *dumped = &slot->dumped;
	struct probe_dumped silent = {
		/* Nobody else writes to these. */
		.number = dumped->number,
		.tid = dumped->tid,
		.observer = dumped->observer,
		.created_by_pc = dumped->created_by_pc,
		.created_by = dumped->created_by,
		.answer = PROBE_SILENT,
	};

	memcpy(silent.name, dumped->name, sizeof(silent.name));
	if (state == SLOT_WITHDRAWN && dumped->answer == PROBE_BLOCKS_SIGNAL)
		silent.answer = PROBE_BLOCKS_SIGNAL;
	silent.time_ns = clock_monotonic_ns();
	dump->on_dumped(&silent, dump->context);
}

static void hand_on_portion(struct dump *dump)
{
	for (size_t i = 0; i < dump->portion->slot_count; i++) {
		struct dump_slot *slot = &dump->portion->slots[i];
		enum slot_state state = atomic_load(&slot->state);

		if (state == SLOT_ANSWERED)
			hand_on_unwound(dump, slot);
		else if (state != SLOT_ENDED)
			hand_on_silent(dump, slot, state);
	}
}

/* ---- portions ---- */

/* Frees those that are closed by now. Returns a place for another, or NULL if all are taken. */
static struct portion **sweep_abandoned(void)
{
	struct portion **place = NULL;

	for (size_t i = 0; i < ABANDONED_MAX; i++) {
		if (abandoned[i] && portion_is_closed(abandoned[i])) {
			portion_free(abandoned[i]);
			abandoned[i] = NULL;
		}
		if (!abandoned[i])
			place = &abandoned[i];
	}
	return place;
}

/* Returns 1 if there may be more, 0 if that was all, or -errno. */
static int dump_portion(struct dump *dump, struct probe_thread_walk *walk)
{
	struct portion **place = sweep_abandoned();
	size_t seen_count;
	bool is_closed;

	if (!place)
		return -EAGAIN;
	if (!dump->portion)
		dump->portion = portion_create();
	if (!dump->portion)
		return -ENOMEM;
	portion_open(dump->portion);
	seen_count = probe_thread_walk_next(walk, PROBE_DUMP_PORTION, ask, dump);
	portion_close_asking(dump->portion);
	is_closed = portion_collect(dump->portion, &dump->patience_ns);
	hand_on_portion(dump);
	if (!is_closed) {
		*place = dump->portion;
		dump->portion = NULL;
	}
	return seen_count > 0;
}

/* ---- threads that are in no list ---- */

static int compare_tids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

static void visit_listed(struct probe_thread *thread, void *context)
{
	remember_tid(context, thread->tid);
}

static void visit_task(pid_t tid, void *context)
{
	struct dump *dump = context;
	struct probe_dumped unlisted = {.tid = tid, .answer = PROBE_UNLISTED};

	if (!bsearch(&tid, dump->tids, dump->tid_count, sizeof(tid), compare_tids) &&
		probe_task_name(tid, unlisted.name) == 0)
		dump->on_dumped(&unlisted, dump->context);
}

/* The kernel's list is slow to read: only where it counts more than we have seen. */
static int dump_unlisted(struct dump *dump)
{
	if (probe_task_count() <= (int64_t)dump->tid_count)
		return 0;
	/* Those that were born meanwhile are in the list by now. */
	probe_thread_for_each(visit_listed, dump);
	qsort(dump->tids, dump->tid_count, sizeof(dump->tids[0]), compare_tids);
	return probe_task_for_each(visit_task, dump);
}

/* ---- the whole ---- */

static int dump_locked(struct dump *dump)
{
	struct probe_thread_walk walk;
	int err = handler_is_set ? 0 : portion_set_handler();

	if (err)
		return err;
	handler_is_set = true;
	probe_thread_walk_begin(&walk);
	do
		err = dump_portion(dump, &walk);
	while (err > 0);
	probe_thread_walk_end(&walk);
	if (err == 0 && dump->scope == PROBE_DUMP_ALL)
		err = dump_unlisted(dump);
	return err;
}

int probe_dump(enum probe_dump_scope scope, probe_on_dumped *on_dumped, void *context)
{
	struct dump dump = {
		.scope = scope,
		.on_dumped = on_dumped,
		.context = context,
		.patience_ns = PATIENCE_NS,
	};
	int err;

	probe_observe_begin();
	pthread_mutex_lock(&dump_lock);
	err = dump_locked(&dump);
	portion_free(dump.portion);
	free(dump.tids);
	pthread_mutex_unlock(&dump_lock);
	probe_observe_end();
	return err;
}
