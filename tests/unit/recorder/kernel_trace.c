#include "kernel_trace.h"

#include <stdlib.h>

#include "../support/test.h"
#include "common/alloc.h"
#include "common/strbuf.h"

void kernel_trace_begin(struct kernel_trace *trace)
{
	trace->file = open_memstream(&trace->data, &trace->len_bytes);
	assert_non_null(trace->file);
}

struct packets kernel_trace_end(struct kernel_trace *trace)
{
	assert_int_equal(fclose(trace->file), 0);
	return (struct packets){(const uint8_t *)trace->data, trace->len_bytes};
}

void kernel_trace_add(struct kernel_trace *trace, const struct PerfettoKernel__TracePacket *packet)
{
	size_t len_bytes = perfetto_kernel__trace_packet__get_packed_size(packet);
	uint8_t *data = xmalloc(len_bytes);

	perfetto_kernel__trace_packet__pack(packet, data);
	packet_write(trace->file, data, len_bytes);
	free(data);
}

static void add_event(struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid,
	struct PerfettoKernel__FtraceEvent *event)
{
	struct PerfettoKernel__TracePacket packet = PERFETTO_KERNEL__TRACE_PACKET__INIT;
	struct PerfettoKernel__FtraceEventBundle bundle =
		PERFETTO_KERNEL__FTRACE_EVENT_BUNDLE__INIT;

	event->has_timestamp = event->has_pid = bundle.has_cpu = true;
	event->timestamp = at_ns;
	event->pid = (uint32_t)tid;
	bundle.cpu = cpu;
	bundle.event = &event;
	bundle.n_event = 1;
	packet.ftrace_events = &bundle;
	kernel_trace_add(trace, &packet);
}

static void add_switch(struct kernel_trace *trace, unsigned cpu, uint64_t at_ns,
	struct PerfettoKernel__SchedSwitch *sched)
{
	struct PerfettoKernel__FtraceEvent event = PERFETTO_KERNEL__FTRACE_EVENT__INIT;

	sched->has_prev_pid = sched->has_next_pid = true;
	event.sched_switch = sched;
	add_event(trace, cpu, at_ns, sched->prev_pid, &event);
}

void kernel_trace_switch(struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int from,
	const char *from_name, int to, const char *to_name)
{
	struct PerfettoKernel__SchedSwitch sched = PERFETTO_KERNEL__SCHED_SWITCH__INIT;

	sched.prev_pid = from;
	sched.prev_comm = (char *)from_name;
	sched.next_pid = to;
	sched.next_comm = (char *)to_name;
	add_switch(trace, cpu, at_ns, &sched);
}

void kernel_trace_last_switch(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int from, const char *from_name)
{
	struct PerfettoKernel__SchedSwitch sched = PERFETTO_KERNEL__SCHED_SWITCH__INIT;

	sched.prev_pid = from;
	sched.prev_comm = (char *)from_name;
	sched.has_prev_state = true;
	sched.prev_state = 0x10;
	sched.next_comm = (char *)"swapper";
	add_switch(trace, cpu, at_ns, &sched);
}

void kernel_trace_enter(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int64_t number)
{
	struct PerfettoKernel__FtraceEvent event = PERFETTO_KERNEL__FTRACE_EVENT__INIT;
	struct PerfettoKernel__SysEnter enter = PERFETTO_KERNEL__SYS_ENTER__INIT;

	enter.has_id = true;
	enter.id = number;
	event.sys_enter = &enter;
	add_event(trace, cpu, at_ns, tid, &event);
}

void kernel_trace_leave(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int64_t result)
{
	struct PerfettoKernel__FtraceEvent event = PERFETTO_KERNEL__FTRACE_EVENT__INIT;
	struct PerfettoKernel__SysExit leave = PERFETTO_KERNEL__SYS_EXIT__INIT;

	leave.has_ret = true;
	leave.ret = result;
	event.sys_exit = &leave;
	add_event(trace, cpu, at_ns, tid, &event);
}

/* Events that name one other thread differ in nothing but their kind. */
#define ADD_ABOUT(Kind, KIND, field, other)                                             \
	struct PerfettoKernel__FtraceEvent event = PERFETTO_KERNEL__FTRACE_EVENT__INIT; \
	struct PerfettoKernel__##Kind about = PERFETTO_KERNEL__##KIND##__INIT;          \
	about.has_pid = true;                                                           \
	about.pid = (other);                                                            \
	event.field = &about;                                                           \
	add_event(trace, cpu, at_ns, tid, &event)

void kernel_trace_wake(struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int woken)
{
	ADD_ABOUT(SchedWaking, SCHED_WAKING, sched_waking, woken);
}

void kernel_trace_beget(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int child)
{
	ADD_ABOUT(TaskNewtask, TASK_NEWTASK, task_newtask, child);
}

void kernel_trace_rename(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int renamed)
{
	ADD_ABOUT(TaskRename, TASK_RENAME, task_rename, renamed);
}

void kernel_trace_free_task(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int freed)
{
	ADD_ABOUT(SchedProcessFree, SCHED_PROCESS_FREE, sched_process_free, freed);
}

static void print_event(
	struct strbuf *text, unsigned cpu, const struct PerfettoKernel__FtraceEvent *event)
{
	const struct PerfettoKernel__SchedSwitch *sched = event->sched_switch;

	strbuf_printf(text, "%llu cpu%u ", (unsigned long long)event->timestamp, cpu);
	if (sched)
		strbuf_printf(text, "%s/%d > %s/%d\n", sched->prev_comm ? sched->prev_comm : "",
			sched->prev_pid, sched->next_comm ? sched->next_comm : "", sched->next_pid);
	else if (event->sys_enter)
		strbuf_printf(
			text, "%u enters %lld\n", event->pid, (long long)event->sys_enter->id);
	else if (event->sys_exit)
		strbuf_printf(
			text, "%u leaves %lld\n", event->pid, (long long)event->sys_exit->ret);
	else if (event->sched_waking)
		strbuf_printf(text, "%u wakes %d\n", event->pid, event->sched_waking->pid);
	else if (event->task_newtask)
		strbuf_printf(text, "%u begets %d\n", event->pid, event->task_newtask->pid);
	else if (event->task_rename)
		strbuf_printf(text, "%u renames %d\n", event->pid, event->task_rename->pid);
	else
		strbuf_puts(text, "?\n");
}

static void print_packet(struct strbuf *text, const struct PerfettoKernel__TracePacket *packet)
{
	const struct PerfettoKernel__FtraceEventBundle *bundle = packet->ftrace_events;
	const struct PerfettoKernel__ProcessTree *tree = packet->process_tree;
	const struct PerfettoKernel__TrackDescriptor *track = packet->track_descriptor;
	const struct PerfettoKernel__PerfSample *sample = packet->perf_sample;

	for (size_t i = 0; bundle && i < bundle->n_event; i++)
		print_event(text, bundle->cpu, bundle->event[i]);
	if (bundle && bundle->has_compact_sched)
		strbuf_puts(text, "compact\n");
	for (size_t i = 0; tree && i < tree->n_processes; i++)
		strbuf_printf(text, "process %d\n", tree->processes[i]->pid);
	for (size_t i = 0; tree && i < tree->n_threads; i++)
		strbuf_printf(text, "thread %d\n", tree->threads[i]->tid);
	if (track && track->process)
		strbuf_printf(text, "track %d\n", track->process->pid);
	if (track && track->thread)
		strbuf_printf(text, "track %d/%d\n", track->thread->pid, track->thread->tid);
	if (sample)
		strbuf_printf(text, "%llu sample %u/%u\n", (unsigned long long)packet->timestamp,
			sample->pid, sample->tid);
	if (packet->has_clock_snapshot)
		strbuf_puts(text, "clock\n");
	if (packet->base.n_unknown_fields)
		strbuf_printf(text, "field %u\n", packet->base.unknown_fields[0].tag);
}

char *kernel_trace_text(const struct packets *packets)
{
	struct strbuf text = STRBUF_INIT;
	const uint8_t *data;
	size_t at = 0, len_bytes;

	strbuf_puts(&text, "");
	while (packets_next(packets, &at, &data, &len_bytes)) {
		struct PerfettoKernel__TracePacket *packet = perfetto_kernel__trace_packet__unpack(
			NULL, len_bytes, data);

		assert_non_null(packet);
		print_packet(&text, packet);
		perfetto_kernel__trace_packet__free_unpacked(packet, NULL);
	}
	assert_int_equal(at, packets->len_bytes);
	return strbuf_detach(&text);
}
