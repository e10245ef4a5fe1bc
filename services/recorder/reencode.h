/*
 * reencode: a trace as it is published, out of the one that was recorded.
 *
 * Of the kernel's trace stay the stack's own threads, and when a CPU was busy with something else: every
 * thread that is not in TASKS is called "other". It has one number for each CPU, above any real one,
 * because a reader must find the thread it leaves where it left it. Idle stays idle. System calls
 * and wake-ups of others are left out, as is every kind of packet or event that
 * perfetto_kernel.proto does not list, and what was before or after the patient's own trace: a system call
 * that began before it would lie across the patient's slices.
 *
 * The patient's own trace stays whole. Its threads get the host's numbers, so that a reader sees one
 * thread where both traces speak of one. A thread that TASKS does not know gets a number above any
 * real one: its own might be, on the host, somebody else's.
 *
 * Errors:    -EBADMSG for what is no packet of a trace. Writing: ask ferror() at the end.
 * Thread:    one thread at a time per list of tasks.
 */
#ifndef SICKBAY_RECORDER_REENCODE_H
#define SICKBAY_RECORDER_REENCODE_H

#include "recorder/packets.h"
#include "recorder/tasks.h"

/* Of what time a trace is, in ns of CLOCK_BOOTTIME. */
struct reencode_span {
	uint64_t first_ns, last_ns;
};

int reencode_patient(const struct tasks *tasks, const struct packets *packets, FILE *out,
	struct reencode_span *span) __attribute__((warn_unused_result));

struct reencode_counts {
	size_t event_count;
	bool has_lost; /* the kernel could not record all there was */
};

int reencode_kernel(const struct tasks *tasks, const struct reencode_span *span,
	const struct packets *packets, FILE *out, struct reencode_counts *counts)
	__attribute__((warn_unused_result));

#endif
