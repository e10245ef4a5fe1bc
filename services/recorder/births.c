#include "recorder/births.h"

#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "proto/perfetto_kernel.pb-c.h"

#define STATE_ENDED 0x30 /* of prev_state: dead, or a zombie */

/* What is known of one thread, at one time. */
struct fact {
	enum { ENDED, SEEN, BORN } what;
	uint64_t at_ns;
	struct task task;     /* ENDED: its number only */
	int32_t parent;       /* BORN; otherwise 0 */
	uint64_t returned_ns; /* when the parent left the kernel first since; 0: not seen */
};

struct facts {
	struct fact *items;
	size_t count, capacity;
};

typedef void on_event(struct facts *facts, const struct PerfettoKernel__FtraceEvent *event);

static void add_fact(struct facts *facts, struct fact fact)
{
	if (facts->count == facts->capacity) {
		facts->capacity = facts->capacity ? facts->capacity * 2 : 64;
		facts->items = xrealloc(facts->items, facts->capacity, sizeof(*facts->items));
	}
	facts->items[facts->count++] = fact;
}

static void on_life(struct facts *facts, const struct PerfettoKernel__FtraceEvent *event)
{
	struct fact fact = {.what = ENDED, .at_ns = event->timestamp};

	if (event->task_newtask) {
		fact.what = BORN;
		fact.task.host_tid = event->task_newtask->pid;
		fact.parent = (int32_t)event->pid;
	} else if (event->sched_process_free) {
		fact.task.host_tid = event->sched_process_free->pid;
	} else if (event->sched_switch && event->sched_switch->prev_state & STATE_ENDED) {
		fact.task.host_tid = event->sched_switch->prev_pid;
	} else {
		return;
	}
	add_fact(facts, fact);
}

static int compare_times(const void *left, const void *right)
{
	const struct fact *a = left, *b = right;

	return (a->at_ns > b->at_ns) - (a->at_ns < b->at_ns);
}

static int compare_parents(const void *left, const void *right)
{
	const struct fact *a = left, *b = right;

	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	return compare_times(left, right);
}

/* The last birth that PARENT gave until AT_NS. */
static struct fact *last_birth(const struct facts *facts, int32_t parent, uint64_t at_ns)
{
	const struct fact key = {.parent = parent, .at_ns = at_ns};
	size_t low = 0, high = facts->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_parents(&facts->items[middle], &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low && facts->items[low - 1].parent == parent ? &facts->items[low - 1] : NULL;
}

/* CPUs are told one after the other: what comes first here need not have happened first. */
static void on_sys_exit(struct facts *facts, const struct PerfettoKernel__FtraceEvent *event)
{
	struct fact *birth;
	int64_t returned;

	if (!event->sys_exit)
		return;
	birth = last_birth(facts, (int32_t)event->pid, event->timestamp);
	if (!birth || birth->what != BORN ||
		(birth->returned_ns && birth->returned_ns <= event->timestamp))
		return;
	returned = event->sys_exit->ret;
	birth->returned_ns = event->timestamp;
	birth->task.local_tid = returned > 0 && returned < TASK_TID_MAX ? (int32_t)returned : 0;
}

static int for_each_event(const struct packets *kernel, on_event *visit, struct facts *facts)
{
	const uint8_t *data;
	size_t at = 0, len_bytes;

	while (packets_next(kernel, &at, &data, &len_bytes)) {
		struct PerfettoKernel__TracePacket *packet = perfetto_kernel__trace_packet__unpack(
			NULL, len_bytes, data);

		if (!packet)
			return -EBADMSG;
		for (size_t i = 0; packet->ftrace_events && i < packet->ftrace_events->n_event; i++)
			visit(facts, packet->ftrace_events->event[i]);
		perfetto_kernel__trace_packet__free_unpacked(packet, NULL);
	}
	return 0;
}

/* FACT comes after all that TASKS knows. */
static void learn(struct tasks *tasks, const struct fact *fact)
{
	struct task *known = tasks_find(tasks, fact->task.host_tid, fact->at_ns);
	struct task task = fact->task;

	if (known && fact->what == SEEN &&
		(!known->local_tid || known->local_tid == task.local_tid)) {
		if (!known->local_tid)
			tasks_tell_local(tasks, known, task.local_tid);
		return;
	}
	/* Where another one has the number now, the end of the first was lost. */
	if (known)
		known->gone_ns = fact->what == ENDED ? fact->at_ns : fact->at_ns - 1;
	if (fact->what == BORN) {
		const struct task *parent = tasks_find(tasks, fact->parent, fact->at_ns);

		if (!parent)
			return;
		task.is_patient = parent->is_patient;
	}
	task.born_ns = fact->at_ns;
	task.gone_ns = TASK_ALIVE;
	if (fact->what != ENDED)
		tasks_add(tasks, task);
}

int births_find(const struct packets *kernel, const struct tasks *seen, struct tasks *tasks)
{
	struct facts facts = {0};
	int err;

	for (size_t i = 0; i < seen->count; i++)
		add_fact(&facts, (struct fact){.what = SEEN,
					 .at_ns = seen->items[i].born_ns,
					 .task = seen->items[i]});
	err = for_each_event(kernel, on_life, &facts);
	if (!err && facts.count) {
		qsort(facts.items, facts.count, sizeof(*facts.items), compare_parents);
		err = for_each_event(kernel, on_sys_exit, &facts);
	}
	if (!err && facts.count) {
		qsort(facts.items, facts.count, sizeof(*facts.items), compare_times);
		for (size_t i = 0; i < facts.count; i++)
			learn(tasks, &facts.items[i]);
	}
	free(facts.items);
	return err;
}
