#include "recorder/reencode.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "common/alloc.h"
#include "proto/perfetto_kernel.pb-c.h"

#define OTHER_NAME "other"
#define CPU_COUNT 8192 /* Linux has no more */
#define NOBODY_SEEN (-1)
#define OTHER_TID (TASK_TID_MAX + 1)   /* and on, by CPU */
#define UNKNOWN_TID (2 * TASK_TID_MAX) /* and on, by local number */

/* Makes PACKET fit to be published; false where it is not to be. */
typedef bool edit_packet(void *context, struct PerfettoKernel__TracePacket *packet);

struct patient {
	const struct tasks *tasks;
	struct reencode_span *span;
};

struct kernel {
	const struct tasks *tasks;
	const struct reencode_span *span;
	int32_t running[CPU_COUNT];
	struct reencode_counts *counts;
};

/* What one CPU does, as far as it was told. */
struct cpu {
	const struct tasks *tasks;
	const struct reencode_span *span;
	int32_t other_tid;
	int32_t *running; /* NOBODY_SEEN: not known yet */
};

/* Idle is nobody, and everybody's. */
static int32_t told_tid(const struct cpu *cpu, int32_t tid, uint64_t at_ns)
{
	return tid == 0 || tasks_find(cpu->tasks, tid, at_ns) ? tid : cpu->other_tid;
}

static void hide(const struct cpu *cpu, uint64_t at_ns, int32_t *tid, char **name)
{
	*tid = told_tid(cpu, *tid, at_ns);
	if (*tid != cpu->other_tid)
		return;
	free(*name);
	*name = xstrdup(OTHER_NAME);
}

/* Makes EVENT fit to be told; false where it is not to be. */
static bool keep_event(const struct cpu *cpu, struct PerfettoKernel__FtraceEvent *event)
{
	struct PerfettoKernel__SchedSwitch *sched = event->sched_switch;
	uint64_t at_ns = event->timestamp;

	event->pid = (uint32_t)told_tid(cpu, (int32_t)event->pid, at_ns);
	if (sched) {
		hide(cpu, at_ns, &sched->prev_pid, &sched->prev_comm);
		hide(cpu, at_ns, &sched->next_pid, &sched->next_comm);
		return sched->prev_pid != sched->next_pid;
	}
	if (event->sched_waking)
		return tasks_find(cpu->tasks, event->sched_waking->pid, at_ns);
	/* Its end comes under no number: a reader would take it for still under way. */
	if (event->sys_enter && event->sys_enter->id == SYS_rt_sigreturn)
		return false;
	return tasks_find(cpu->tasks, (int32_t)event->pid, at_ns) &&
	       (event->task_newtask || event->task_rename || event->sys_enter || event->sys_exit);
}

static struct PerfettoKernel__FtraceEvent *new_switch(
	uint64_t at_ns, int32_t from_tid, int32_t to_tid)
{
	struct PerfettoKernel__FtraceEvent *event = xmalloc(sizeof(*event));
	struct PerfettoKernel__SchedSwitch *sched = xmalloc(sizeof(*sched));

	perfetto_kernel__ftrace_event__init(event);
	perfetto_kernel__sched_switch__init(sched);
	event->has_timestamp = event->has_pid = true;
	event->timestamp = at_ns;
	event->pid = (uint32_t)from_tid;
	event->sched_switch = sched;
	sched->has_prev_pid = sched->has_next_pid = true;
	sched->prev_pid = from_tid;
	sched->next_pid = to_tid;
	return event;
}

/*
 * Appends EVENT to LIST, before it the switch that must have been: a busy kernel loses some, and that of
 * some virtual machines never tells who follows idle on all CPUs but the first. A reader would otherwise
 * take the thread before for the one that runs.
 */
static size_t append_event(const struct cpu *cpu, struct PerfettoKernel__FtraceEvent *event,
	struct PerfettoKernel__FtraceEvent **list, size_t count)
{
	int32_t tid = told_tid(cpu, (int32_t)event->pid, event->timestamp);
	bool is_inside = event->timestamp >= cpu->span->first_ns &&
			 event->timestamp <= cpu->span->last_ns;
	bool is_kept = keep_event(cpu, event) && is_inside;

	if (is_inside && *cpu->running != tid && *cpu->running != NOBODY_SEEN)
		list[count++] = new_switch(event->timestamp, *cpu->running, tid);
	*cpu->running = event->sched_switch ? event->sched_switch->next_pid : tid;
	if (is_kept)
		list[count++] = event;
	else
		perfetto_kernel__ftrace_event__free_unpacked(event, NULL);
	return count;
}

static void filter_events(struct kernel *kernel, struct PerfettoKernel__FtraceEventBundle *bundle)
{
	uint32_t number = bundle->cpu % CPU_COUNT;
	const struct cpu cpu = {
		kernel->tasks, kernel->span, OTHER_TID + (int32_t)number, &kernel->running[number]};
	struct PerfettoKernel__FtraceEvent **list = xcalloc(2 * bundle->n_event, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; i < bundle->n_event; i++)
		count = append_event(&cpu, bundle->event[i], list, count);
	free(bundle->event);
	/* An empty one stays: newer readers ask of each CPU since when it was recorded. */
	bundle->event = list;
	bundle->n_event = count;
	bundle->has_compact_sched = false;
	kernel->counts->event_count += count;
	kernel->counts->has_lost |= bundle->lost_events;
}

static void filter_tree(
	const struct tasks *tasks, uint64_t at_ns, struct PerfettoKernel__ProcessTree *tree)
{
	size_t kept = 0;

	for (size_t i = 0; i < tree->n_processes; i++) {
		if (tasks_find(tasks, tree->processes[i]->pid, at_ns))
			tree->processes[kept++] = tree->processes[i];
		else
			protobuf_c_message_free_unpacked(&tree->processes[i]->base, NULL);
	}
	tree->n_processes = kept;
	kept = 0;
	for (size_t i = 0; i < tree->n_threads; i++) {
		if (tasks_find(tasks, tree->threads[i]->tid, at_ns))
			tree->threads[kept++] = tree->threads[i];
		else
			protobuf_c_message_free_unpacked(&tree->threads[i]->base, NULL);
	}
	tree->n_threads = kept;
}

static bool edit_kernel(void *context, struct PerfettoKernel__TracePacket *packet)
{
	struct kernel *kernel = context;

	if (packet->ftrace_events)
		filter_events(kernel, packet->ftrace_events);
	if (packet->process_tree)
		filter_tree(kernel->tasks, packet->timestamp, packet->process_tree);
	return packet->ftrace_events || packet->process_tree || packet->has_clock_snapshot ||
	       packet->has_ftrace_stats || packet->has_trace_stats || packet->has_system_info;
}

static int32_t host_tid(const struct tasks *tasks, uint32_t local_tid)
{
	int32_t known = tasks_host_tid(tasks, (int32_t)local_tid);

	return known ? known : UNKNOWN_TID + (int32_t)(local_tid % TASK_TID_MAX);
}

static bool edit_patient(void *context, struct PerfettoKernel__TracePacket *packet)
{
	struct patient *patient = context;
	struct reencode_span *span = patient->span;
	const struct tasks *tasks = patient->tasks;
	struct PerfettoKernel__TrackDescriptor *track = packet->track_descriptor;
	struct PerfettoKernel__PerfSample *sample = packet->perf_sample;

	if (packet->has_timestamp && packet->timestamp < span->first_ns)
		span->first_ns = packet->timestamp;
	if (packet->has_timestamp && packet->timestamp > span->last_ns)
		span->last_ns = packet->timestamp;
	if (track && track->process)
		track->process->pid = host_tid(tasks, (uint32_t)track->process->pid);
	if (track && track->thread) {
		track->thread->pid = host_tid(tasks, (uint32_t)track->thread->pid);
		track->thread->tid = host_tid(tasks, (uint32_t)track->thread->tid);
	}
	if (sample) {
		sample->pid = (uint32_t)host_tid(tasks, sample->pid);
		sample->tid = (uint32_t)host_tid(tasks, sample->tid);
	}
	return true;
}

static void write_packet(const struct PerfettoKernel__TracePacket *packet, FILE *out)
{
	size_t len_bytes = perfetto_kernel__trace_packet__get_packed_size(packet);
	uint8_t *data = xmalloc(len_bytes);

	perfetto_kernel__trace_packet__pack(packet, data);
	packet_write(out, data, len_bytes);
	free(data);
}

static int reencode(const struct packets *packets, edit_packet *edit, void *context, FILE *out)
{
	const uint8_t *data;
	size_t at = 0, len_bytes;

	while (packets_next(packets, &at, &data, &len_bytes)) {
		struct PerfettoKernel__TracePacket *packet = perfetto_kernel__trace_packet__unpack(
			NULL, len_bytes, data);

		if (!packet)
			return -EBADMSG;
		if (edit(context, packet))
			write_packet(packet, out);
		perfetto_kernel__trace_packet__free_unpacked(packet, NULL);
	}
	return 0;
}

int reencode_patient(const struct tasks *tasks, const struct packets *packets, FILE *out,
	struct reencode_span *span)
{
	struct patient patient = {tasks, span};

	*span = (struct reencode_span){.first_ns = UINT64_MAX};
	return reencode(packets, edit_patient, &patient, out);
}

int reencode_kernel(const struct tasks *tasks, const struct reencode_span *span,
	const struct packets *packets, FILE *out, struct reencode_counts *counts)
{
	struct kernel kernel = {.tasks = tasks, .span = span, .counts = counts};

	*counts = (struct reencode_counts){0};
	for (size_t i = 0; i < CPU_COUNT; i++)
		kernel.running[i] = NOBODY_SEEN;
	return reencode(packets, edit_kernel, &kernel, out);
}
