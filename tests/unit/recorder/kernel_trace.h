/*
 * kernel_trace: makes small Perfetto traces, and reads any as text: a line an event, in the order of the file.
 *
 *     100 cpu0 other/4194305 > app/50      the CPU went from one thread to the other
 *     110 cpu0 50 enters 257               a system call
 *     120 cpu0 50 leaves 3                 ... and what it returned
 *     130 cpu0 50 wakes 51                 130 cpu0 50 begets 51
 *     140 cpu0 50 renames 51
 *     process 50                           of the kernel's list, as "thread 51"
 *     track 50/51                          of the patient's; "track 50" of a process
 *     150 sample 50/51
 *     clock                                what has neither, by its kind
 *
 * Ownership: kernel_trace_end() gives what is to be free()d as its data; kernel_trace_text() the text likewise.
 */
#ifndef SICKBAY_TESTS_RECORDER_KERNEL_TRACE_H
#define SICKBAY_TESTS_RECORDER_KERNEL_TRACE_H

#include <stdio.h>

#include "proto/perfetto_kernel.pb-c.h"
#include "recorder/packets.h"

struct kernel_trace {
	FILE *file;
	char *data;
	size_t len_bytes;
};

void kernel_trace_begin(struct kernel_trace *trace);
struct packets kernel_trace_end(struct kernel_trace *trace);

void kernel_trace_add(struct kernel_trace *trace, const struct PerfettoKernel__TracePacket *packet);
void kernel_trace_switch(struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int from,
	const char *from_name, int to, const char *to_name);
void kernel_trace_last_switch(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int from, const char *from_name);
void kernel_trace_enter(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int64_t number);
void kernel_trace_leave(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int64_t result);
void kernel_trace_wake(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int woken);
void kernel_trace_beget(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int child);
void kernel_trace_rename(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int renamed);
void kernel_trace_free_task(
	struct kernel_trace *trace, unsigned cpu, uint64_t at_ns, int tid, int freed);

char *kernel_trace_text(const struct packets *packets);

#endif
