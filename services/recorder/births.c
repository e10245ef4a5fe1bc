#include "recorder/births.h"

#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "proto/perfetto_kernel.pb-c.h"

struct birth {
	int32_t parent, child; /* the host's numbers */
	uint64_t born_ns;
	uint64_t
		returned_ns; /* when the parent left the kernel the first time since; 0: not seen */
	int64_t returned;    /* what it was told there */
};

struct births {
	struct birth *items;
	size_t count, capacity;
};

typedef void on_event(struct births *births, const struct PerfettoKernel__FtraceEvent *event);

static void on_newtask(struct births *births, const struct PerfettoKernel__FtraceEvent *event)
{
	if (!event->task_newtask)
		return;
	if (births->count == births->capacity) {
		births->capacity = births->capacity ? births->capacity * 2 : 64;
		births->items = xrealloc(births->items, births->capacity, sizeof(*births->items));
	}
	births->items[births->count++] = (struct birth){.parent = (int32_t)event->pid,
		.child = event->task_newtask->pid,
		.born_ns = event->timestamp};
}

static int compare(const void *left, const void *right)
{
	const struct birth *a = left, *b = right;

	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	return (a->born_ns > b->born_ns) - (a->born_ns < b->born_ns);
}

/* The last birth that PARENT gave until AT_NS. */
static struct birth *last_birth(const struct births *births, int32_t parent, uint64_t at_ns)
{
	const struct birth key = {.parent = parent, .born_ns = at_ns};
	size_t low = 0, high = births->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&births->items[middle], &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low && births->items[low - 1].parent == parent ? &births->items[low - 1] : NULL;
}

/* CPUs are told one after the other: what comes first here need not have happened first. */
static void on_sys_exit(struct births *births, const struct PerfettoKernel__FtraceEvent *event)
{
	struct birth *birth;

	if (!event->sys_exit)
		return;
	birth = last_birth(births, (int32_t)event->pid, event->timestamp);
	if (!birth || (birth->returned_ns && birth->returned_ns <= event->timestamp))
		return;
	birth->returned_ns = event->timestamp;
	birth->returned = event->sys_exit->ret;
}

static int for_each_event(const struct packets *kernel, on_event *visit, struct births *births)
{
	const uint8_t *data;
	size_t at = 0, len_bytes;

	while (packets_next(kernel, &at, &data, &len_bytes)) {
		struct PerfettoKernel__TracePacket *packet = perfetto_kernel__trace_packet__unpack(
			NULL, len_bytes, data);

		if (!packet)
			return -EBADMSG;
		for (size_t i = 0; packet->ftrace_events && i < packet->ftrace_events->n_event; i++)
			visit(births, packet->ftrace_events->event[i]);
		perfetto_kernel__trace_packet__free_unpacked(packet, NULL);
	}
	return 0;
}

/* Whether one more of the stack was found: it may have children of its own. */
static bool add_children(const struct births *births, struct tasks *tasks)
{
	bool has_new = false;

	for (size_t i = 0; i < births->count; i++) {
		const struct birth *birth = &births->items[i];
		const struct task *parent = tasks_find(tasks, birth->parent);
		bool is_told = birth->returned > 0 && birth->returned < TASK_TID_MAX;

		if (parent && tasks_add(tasks, (struct task){birth->child,
						       is_told ? (int32_t)birth->returned : 0,
						       parent->is_patient}))
			has_new = true;
	}
	return has_new;
}

int births_add(const struct packets *kernel, struct tasks *tasks)
{
	struct births births = {0};
	int err = for_each_event(kernel, on_newtask, &births);

	if (!err && births.count) {
		qsort(births.items, births.count, sizeof(*births.items), compare);
		err = for_each_event(kernel, on_sys_exit, &births);
		while (!err && add_children(&births, tasks))
			;
	}
	free(births.items);
	return err;
}
