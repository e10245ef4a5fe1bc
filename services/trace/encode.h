/*
 * encode: events and samples as a Perfetto trace. Private to trace.
 *
 * Shape:     tracks come first (a process, its threads, its counters, its slices that belong to no
 *            thread), each named by a number of the caller's, never 0. On one track slices nest: who
 *            begins last ends first. Times are monotonic nanoseconds and may come in any order.
 * Returns:   packets are appended to the caller's buffer as they are made: a trace is complete after
 *            each of them.
 * Ownership: texts are copied. encoder_free() (NULL is fine) ends the encoder.
 * Thread:    one thread at a time per encoder; not AS-Safe. Samples and stacks are symbolized, which
 *            takes the lock of probe's modules.
 * Source:    protos/perfetto/trace of github.com/google/perfetto; services/proto/perfetto.proto has
 *            the part that is written. Readers sort by CLOCK_BOOTTIME, which is the monotonic time
 *            and what the machine slept.
 */
#ifndef SICKBAY_TRACE_ENCODE_H
#define SICKBAY_TRACE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/strbuf.h"

/* Frames beyond are left out of a slice's stack; a sample has all of its own. */
#define ENCODER_SLICE_FRAMES_MAX 24
#define ENCODER_DETAILS_MAX 12

enum encoder_type { ENCODER_BEGIN, ENCODER_END, ENCODER_INSTANT, ENCODER_COUNTER };

/* What the viewer lists of a slice: a text, or a number where TEXT is NULL. */
struct encoder_detail {
	const char *key, *text;
	int64_t number;
};

struct encoder_event {
	enum encoder_type type;
	int64_t time_ns;
	uint64_t track;
	const char *name, *category; /* of what begins, and of instants */
	int64_t value;               /* of counters */
	struct encoder_detail details[ENCODER_DETAILS_MAX];
	size_t detail_count;
	const uintptr_t *pcs; /* a stack, innermost first */
	size_t pc_count;
	uint64_t flow; /* joins the slices that carry the same; 0: none */
	bool flow_ends;
};

struct encoder;

struct encoder *encoder_create(pid_t pid, const char *process_name, struct strbuf *out);
void encoder_free(struct encoder *encoder);

/* A track may be described again: the later name counts. */
void encode_thread_track(struct encoder *encoder, uint64_t track, pid_t tid, const char *name);
/* UNIT: "bytes", "count". */
void encode_counter_track(
	struct encoder *encoder, uint64_t track, const char *name, const char *unit);
/* For slices of no thread; tracks of one name are drawn as one. */
void encode_named_track(struct encoder *encoder, uint64_t track, const char *name);

void encode_event(struct encoder *encoder, const struct encoder_event *event);
/* One tick of the CPU clock, spent there. Stack as above. */
void encode_sample(
	struct encoder *encoder, int64_t time_ns, pid_t tid, const uintptr_t *pcs, size_t pc_count);

#endif
