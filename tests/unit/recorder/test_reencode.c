#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/births.h"
#include "recorder/reencode.h"
#include "kernel_trace.h"

/* The stack: the patient with threads 50 and 51, known to itself as 7 and 8, and a tool, 60 or 9. */
static void know_the_stack(struct tasks *tasks)
{
	tasks_add(tasks, (struct task){50, 7, true, 0, TASK_ALIVE});
	tasks_add(tasks, (struct task){51, 8, true, 0, TASK_ALIVE});
	tasks_add(tasks, (struct task){60, 9, false, 0, TASK_ALIVE});
}

static const struct reencode_span always = {0, UINT64_MAX};

/* What is published of TRACE, as text; TRACE is used up. */
static char *published(struct kernel_trace *trace, const struct reencode_span *span,
	struct reencode_counts *counts)
{
	struct packets recorded = kernel_trace_end(trace), written;
	struct tasks seen = TASKS_INIT, tasks = TASKS_INIT;
	struct kernel_trace out;
	char *text;

	know_the_stack(&seen);
	assert_int_equal(births_find(&recorded, &seen, &tasks), 0);
	kernel_trace_begin(&out);
	assert_int_equal(reencode_kernel(&tasks, span, &recorded, out.file, counts), 0);
	written = kernel_trace_end(&out);
	text = kernel_trace_text(&written);
	free(out.data);
	free(trace->data);
	tasks_free(&tasks);
	tasks_free(&seen);
	return text;
}

static void others_have_no_names(void **state)
{
	struct reencode_counts counts;
	struct kernel_trace trace;
	char *text;

	(void)state;
	kernel_trace_begin(&trace);
	kernel_trace_switch(&trace, 0, 10, 900, "secret", 50, "app");
	kernel_trace_enter(&trace, 0, 11, 50, 257);
	kernel_trace_leave(&trace, 0, 12, 50, 3);
	kernel_trace_wake(&trace, 0, 13, 50, 60);
	kernel_trace_wake(&trace, 0, 14, 50, 900);
	kernel_trace_rename(&trace, 0, 15, 50, 51);
	kernel_trace_beget(&trace, 0, 16, 50, 51);
	kernel_trace_switch(&trace, 0, 17, 50, "app", 901, "shell");
	kernel_trace_enter(&trace, 0, 18, 901, 59);
	kernel_trace_rename(&trace, 0, 19, 901, 901);
	kernel_trace_beget(&trace, 0, 20, 901, 902);
	kernel_trace_switch(&trace, 0, 21, 901, "shell", 900, "secret");
	kernel_trace_wake(&trace, 0, 22, 900, 51);
	kernel_trace_free_task(&trace, 0, 23, 900, 901);
	kernel_trace_free_task(&trace, 0, 24, 900, 51);
	kernel_trace_switch(&trace, 0, 25, 900, "secret", 0, "swapper");
	kernel_trace_switch(&trace, 3, 26, 901, "shell", 60, "tool");
	text = published(&trace, &always, &counts);
	assert_string_equal(text, "10 cpu0 other/4194305 > app/50\n"
				  "11 cpu0 50 enters 257\n"
				  "12 cpu0 50 leaves 3\n"
				  "13 cpu0 50 wakes 60\n"
				  "15 cpu0 50 renames 51\n"
				  "16 cpu0 50 begets 51\n"
				  "17 cpu0 app/50 > other/4194305\n"
				  "22 cpu0 4194305 wakes 51\n"
				  "25 cpu0 other/4194305 > swapper/0\n"
				  "26 cpu3 other/4194308 > tool/60\n");
	assert_int_equal(counts.event_count, 10);
	assert_false(counts.has_lost);
	free(text);
}

static void other_packets(void **state)
{
	struct PerfettoKernel__TracePacket packet = PERFETTO_KERNEL__TRACE_PACKET__INIT;
	struct PerfettoKernel__FtraceEventBundle bundle =
		PERFETTO_KERNEL__FTRACE_EVENT_BUNDLE__INIT;
	struct PerfettoKernel__ProcessTree tree = PERFETTO_KERNEL__PROCESS_TREE__INIT;
	struct PerfettoKernel__ProcessTree__Process own =
		PERFETTO_KERNEL__PROCESS_TREE__PROCESS__INIT;
	struct PerfettoKernel__ProcessTree__Process foreign = own;
	struct PerfettoKernel__ProcessTree__Process *processes[] = {&foreign, &own};
	struct PerfettoKernel__ProcessTree__Thread thread =
		PERFETTO_KERNEL__PROCESS_TREE__THREAD__INIT;
	struct PerfettoKernel__ProcessTree__Thread *threads[] = {&thread};
	struct reencode_counts counts;
	struct kernel_trace trace;
	char *text;

	(void)state;
	own.has_pid = foreign.has_pid = thread.has_tid = true;
	own.pid = 50;
	foreign.pid = 900;
	thread.tid = 901;
	kernel_trace_begin(&trace);
	/* A configuration (33), which the schema does not list. */
	packet_write(trace.file, (const uint8_t *)"\x8a\x02\x01x", 4);
	packet.has_clock_snapshot = true;
	kernel_trace_add(&trace, &packet);
	packet.has_clock_snapshot = false;
	tree.processes = processes;
	tree.n_processes = 2;
	tree.threads = threads;
	tree.n_threads = 1;
	packet.process_tree = &tree;
	kernel_trace_add(&trace, &packet);
	packet.process_tree = NULL;
	packet.ftrace_events = &bundle;
	bundle.has_lost_events = bundle.lost_events = bundle.has_compact_sched = true;
	bundle.compact_sched = (struct ProtobufCBinaryData){6, (uint8_t *)"secret"};
	kernel_trace_add(&trace, &packet);
	text = published(&trace, &always, &counts);
	assert_string_equal(text, "clock\nprocess 50\n");
	assert_true(counts.has_lost);
	free(text);
}

static void untold_switches_are_put_in(void **state)
{
	struct reencode_counts counts;
	struct kernel_trace trace;
	char *text;

	(void)state;
	kernel_trace_begin(&trace);
	kernel_trace_switch(&trace, 1, 10, 50, "app", 0, "swapper");
	kernel_trace_leave(&trace, 1, 20, 50, 0);
	kernel_trace_enter(&trace, 1, 21, 50, 1);
	kernel_trace_enter(&trace, 1, 30, 900, 1);
	kernel_trace_enter(&trace, 1, 31, 901, 1);
	kernel_trace_switch(&trace, 1, 40, 60, "tool", 51, "app");
	text = published(&trace, &always, &counts);
	assert_string_equal(text, "10 cpu1 app/50 > swapper/0\n"
				  "20 cpu1 /0 > /50\n"
				  "20 cpu1 50 leaves 0\n"
				  "21 cpu1 50 enters 1\n"
				  "30 cpu1 /50 > /4194306\n"
				  "40 cpu1 /4194306 > /60\n"
				  "40 cpu1 tool/60 > app/51\n");
	free(text);
}

static void only_the_time_of_the_patient(void **state)
{
	const struct reencode_span span = {20, 30};
	struct reencode_counts counts;
	struct kernel_trace trace;
	char *text;

	(void)state;
	kernel_trace_begin(&trace);
	kernel_trace_switch(&trace, 0, 10, 50, "app", 900, "secret");
	kernel_trace_enter(&trace, 0, 19, 50, 1);
	kernel_trace_leave(&trace, 0, 20, 50, 1);
	kernel_trace_enter(&trace, 0, 29, 50, SYS_rt_sigreturn);
	kernel_trace_enter(&trace, 0, 30, 50, 1);
	kernel_trace_leave(&trace, 0, 31, 50, 1);
	text = published(&trace, &span, &counts);
	assert_string_equal(text, "20 cpu0 50 leaves 1\n30 cpu0 50 enters 1\n");
	assert_int_equal(counts.event_count, 2);
	free(text);
}

/* A thread's own trace: where it is drawn, a sample, an event (field 11), which is none of ours. */
static void add_patient(struct kernel_trace *trace, int pid, int tid)
{
	struct PerfettoKernel__TracePacket packet = PERFETTO_KERNEL__TRACE_PACKET__INIT;
	struct PerfettoKernel__TrackDescriptor track = PERFETTO_KERNEL__TRACK_DESCRIPTOR__INIT;
	struct PerfettoKernel__ProcessDescriptor process =
		PERFETTO_KERNEL__PROCESS_DESCRIPTOR__INIT;
	struct PerfettoKernel__ThreadDescriptor thread = PERFETTO_KERNEL__THREAD_DESCRIPTOR__INIT;
	struct PerfettoKernel__PerfSample sample = PERFETTO_KERNEL__PERF_SAMPLE__INIT;

	process.has_pid = thread.has_pid = thread.has_tid = true;
	process.pid = thread.pid = pid;
	thread.tid = tid;
	track.process = &process;
	track.thread = &thread;
	packet.track_descriptor = &track;
	kernel_trace_add(trace, &packet);
	packet.track_descriptor = NULL;
	sample.has_pid = sample.has_tid = packet.has_timestamp = true;
	sample.pid = (uint32_t)pid;
	sample.tid = (uint32_t)tid;
	packet.timestamp = (uint64_t)tid * 100;
	packet.perf_sample = &sample;
	kernel_trace_add(trace, &packet);
	packet_write(trace->file, (const uint8_t *)"\x5a\x01x", 3);
}

static void the_patient_has_the_numbers_of_the_host(void **state)
{
	struct tasks tasks = TASKS_INIT;
	struct kernel_trace trace, out;
	struct packets recorded, written;
	struct reencode_span span;
	char *text;

	(void)state;
	know_the_stack(&tasks);
	kernel_trace_begin(&trace);
	add_patient(&trace, 7, 8);
	add_patient(&trace, 7, 9); /* the tool's number is not one of the patient's */
	recorded = kernel_trace_end(&trace);
	kernel_trace_begin(&out);
	assert_int_equal(reencode_patient(&tasks, &recorded, out.file, &span), 0);
	written = kernel_trace_end(&out);
	text = kernel_trace_text(&written);
	assert_string_equal(text, "track 50\ntrack 50/51\n800 sample 50/51\nfield 11\n"
				  "track 50\ntrack 50/8388617\n900 sample 50/8388617\nfield 11\n");
	assert_int_equal(span.first_ns, 800);
	assert_int_equal(span.last_ns, 900);
	free(text);
	free(out.data);
	free(trace.data);
	tasks_free(&tasks);
}

static void births_tell_both_numbers(void **state)
{
	struct tasks seen = TASKS_INIT, tasks = TASKS_INIT;
	struct kernel_trace trace;
	struct packets recorded;

	(void)state;
	know_the_stack(&seen);
	/* Seen after they were born: they are the same; 72 is another one by then. */
	tasks_add(&seen, (struct task){71, 11, true, 45, TASK_ALIVE});
	tasks_add(&seen, (struct task){73, 14, true, 70, TASK_ALIVE});
	tasks_add(&seen, (struct task){72, 15, true, 80, TASK_ALIVE});
	kernel_trace_begin(&trace);
	/* Told late: CPU 1 comes after CPU 0. And 70's child before 70 itself is known. */
	kernel_trace_beget(&trace, 0, 30, 70, 71);
	kernel_trace_leave(&trace, 0, 40, 70, 11);
	kernel_trace_leave(&trace, 0, 35, 50, 98);
	kernel_trace_leave(&trace, 0, 25, 50, 12);
	kernel_trace_leave(&trace, 0, 36, 50, 97);
	kernel_trace_leave(&trace, 1, 15, 50, 10);
	kernel_trace_beget(&trace, 1, 10, 50, 70);
	kernel_trace_beget(&trace, 1, 20, 50, 72);
	kernel_trace_beget(&trace, 1, 50, 51, 73);
	kernel_trace_leave(&trace, 1, 45, 51, 99);
	kernel_trace_beget(&trace, 1, 60, 900, 901);
	kernel_trace_leave(&trace, 1, 61, 900, 13);
	recorded = kernel_trace_end(&trace);
	assert_int_equal(births_find(&recorded, &seen, &tasks), 0);
	assert_int_equal(tasks_host_tid(&tasks, 10), 70);
	assert_int_equal(tasks_host_tid(&tasks, 11), 71);
	assert_int_equal(tasks_host_tid(&tasks, 12), 72);
	assert_int_equal(tasks_find(&tasks, 73, 60)->local_tid, 14);
	assert_int_equal(tasks_find(&tasks, 72, 79)->local_tid, 12);
	assert_int_equal(tasks_find(&tasks, 72, 80)->local_tid, 15);
	assert_true(tasks_find(&tasks, 73, 99)->is_patient);
	assert_null(tasks_find(&tasks, 901, 99));
	assert_int_equal(tasks_host_tid(&tasks, 99), 0);
	assert_int_equal(tasks.count, 8);
	free(trace.data);
	tasks_free(&tasks);
	tasks_free(&seen);
}

static void a_number_that_another_has_is_his(void **state)
{
	struct reencode_counts counts;
	struct kernel_trace trace;
	char *text;

	(void)state;
	kernel_trace_begin(&trace);
	kernel_trace_beget(&trace, 0, 10, 50, 70);
	kernel_trace_free_task(&trace, 0, 20, 50, 70);
	kernel_trace_switch(&trace, 0, 30, 50, "app", 70, "ssh-agent");
	kernel_trace_wake(&trace, 0, 31, 70, 50);
	kernel_trace_switch(&trace, 0, 32, 70, "ssh-agent", 50, "app");
	kernel_trace_wake(&trace, 0, 33, 50, 70);
	/* The stack's again; this time, nobody tells that it is freed. */
	kernel_trace_beget(&trace, 0, 40, 50, 70);
	kernel_trace_switch(&trace, 0, 41, 50, "app", 70, "worker");
	kernel_trace_last_switch(&trace, 0, 50, 70, "worker");
	kernel_trace_switch(&trace, 0, 60, 0, "swapper", 70, "ssh-agent");
	text = published(&trace, &always, &counts);
	assert_string_equal(text, "10 cpu0 50 begets 70\n"
				  "30 cpu0 app/50 > other/4194305\n"
				  "31 cpu0 4194305 wakes 50\n"
				  "32 cpu0 other/4194305 > app/50\n"
				  "40 cpu0 50 begets 70\n"
				  "41 cpu0 app/50 > worker/70\n"
				  "50 cpu0 worker/70 > swapper/0\n"
				  "60 cpu0 swapper/0 > other/4194305\n");
	free(text);
}

/* Merges what the file of FD holds with itself. */
static int merge(int fd)
{
	char path[64], *data;
	struct packets packets = PACKETS_INIT;
	struct tasks seen = TASKS_INIT, tasks = TASKS_INIT;
	struct reencode_span span;
	struct reencode_counts counts;
	size_t len_bytes;
	FILE *out = open_memstream(&data, &len_bytes);
	int err;

	know_the_stack(&seen);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = packets_open(&packets, path);
	if (!err)
		err = births_find(&packets, &seen, &tasks);
	if (!err)
		err = reencode_patient(&tasks, &packets, out, &span);
	if (!err)
		err = reencode_kernel(&tasks, &always, &packets, out, &counts);
	fclose(out);
	free(data);
	packets_close(&packets);
	tasks_free(&tasks);
	tasks_free(&seen);
	return err;
}

static void expect_whole(int fd, size_t len_bytes, bool is_whole)
{
	assert_int_equal(ftruncate(fd, (off_t)len_bytes), 0);
	assert_int_equal(merge(fd), is_whole ? 0 : -EBADMSG);
}

static void damaged_traces(void **state)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);
	struct kernel_trace trace;
	struct packets packets;
	const uint8_t *data;
	size_t at = 0, len_bytes;

	(void)state;
	kernel_trace_begin(&trace);
	kernel_trace_beget(&trace, 0, 9, 50, 70);
	kernel_trace_switch(&trace, 0, 10, 900, "secret", 50, "app");
	kernel_trace_leave(&trace, 0, 12, 50, 3);
	add_patient(&trace, 7, 8);
	packets = kernel_trace_end(&trace);
	/* Cut anywhere but between two packets. */
	for (size_t cut = packets.len_bytes + 1; cut-- > 0;) {
		bool is_whole = false;

		for (at = 0; at < cut && packets_next(&packets, &at, &data, &len_bytes);)
			;
		is_whole = at == cut;
		assert_int_equal(pwrite(fd, packets.data, cut, 0), cut);
		expect_whole(fd, cut, is_whole);
	}
	/* One bit wrong: it is refused, or it is another trace. */
	for (size_t bit = 0; bit < packets.len_bytes * 8; bit++) {
		uint8_t byte = packets.data[bit / 8] ^ (uint8_t)(1 << bit % 8);
		int err;

		assert_int_equal(pwrite(fd, packets.data, packets.len_bytes, 0), packets.len_bytes);
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
		err = merge(fd);
		assert_true(err == 0 || err == -EBADMSG);
	}
	close(fd);
	free(trace.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_have_no_names),
		cmocka_unit_test(other_packets),
		cmocka_unit_test(untold_switches_are_put_in),
		cmocka_unit_test(only_the_time_of_the_patient),
		cmocka_unit_test(the_patient_has_the_numbers_of_the_host),
		cmocka_unit_test(births_tell_both_numbers),
		cmocka_unit_test(a_number_that_another_has_is_his),
		cmocka_unit_test(damaged_traces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
