/*
 * read_trace: reads an encoded trace back and asks it what a person would.
 *
 * Shape:     slices and instants in the order of their beginning, times of CLOCK_BOOTTIME.
 * Errors:    read_trace_open() aborts the test on anything that breaks a rule of the format: what is
 *            referred to was said before, and once; tracks too; the first packet clears what was
 *            said and all others need it; no slice ends that did not begin.
 * Ownership: read_trace_close() frees, also what was returned.
 */
#ifndef SICKBAY_TESTS_READ_TRACE_H
#define SICKBAY_TESTS_READ_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/strbuf.h"

#define READ_TRACE_FRAMES_MAX 256

struct read_slice {
	const char *name, *category;
	bool is_instant;
	int64_t begin_ns, end_ns; /* of what never ended 0 */
	uint64_t track;
	const char *track_name; /* of a thread its name; "" if none was said */
	pid_t tid;              /* 0: of no thread */
	const struct read_slice *parent;
	uint64_t flow, ending_flow; /* 0: none */
};

struct read_sample {
	int64_t time_ns;
	pid_t pid, tid;
	size_t frame_count;
	const char *frames[READ_TRACE_FRAMES_MAX]; /* outermost first */
};

struct read_trace;

struct read_trace *read_trace_open(const struct strbuf *trace);
void read_trace_close(struct read_trace *trace);
/* Of all that is in it, NAME's INDEX-th; NAME NULL: any. NULL: there are not so many. */
const struct read_slice *read_trace_slice(
	const struct read_trace *trace, const char *name, size_t index);
size_t read_trace_count(const struct read_trace *trace, const char *name);
/* The same for those that lie directly in PARENT. */
size_t read_trace_count_in(
	const struct read_trace *trace, const struct read_slice *parent, const char *name);

/* A detail of a slice. NULL, or -1: it has none of that kind. */
const char *read_trace_text(
	const struct read_trace *trace, const struct read_slice *slice, const char *key);
int64_t read_trace_number(
	const struct read_trace *trace, const struct read_slice *slice, const char *key);
size_t read_trace_detail_count(const struct read_trace *trace, const struct read_slice *slice);
/* Frame INDEX of a slice's stack, the innermost is 0: "function at folder/file.c:12". NULL: beyond. */
const char *read_trace_frame(
	const struct read_trace *trace, const struct read_slice *slice, size_t index);

/* The INDEX-th value of a counter; false: there are not so many. */
bool read_trace_counter(
	const struct read_trace *trace, const char *name, size_t index, int64_t *value);
/* In Perfetto's numbers: 2 count, 3 bytes. 0: there is no such counter. */
int read_trace_counter_unit(const struct read_trace *trace, const char *name);

size_t read_trace_sample_count(const struct read_trace *trace);
const struct read_sample *read_trace_sample(const struct read_trace *trace, size_t index);
/* Samples that have FUNCTION anywhere. */
size_t read_trace_samples_in(const struct read_trace *trace, const char *function);

/* The last name that was said of a thread's track; NULL: there is none. */
const char *read_trace_thread_name(const struct read_trace *trace, pid_t tid);
const char *read_trace_process_name(const struct read_trace *trace);

#endif
