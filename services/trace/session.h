/*
 * session: one trace of the process, from a start to an end: a Perfetto trace of what the emitters
 * (trace.h), the system calls, the waits, the births of threads and the counters had to say.
 *
 *     trace_start() -> trace_turn() every TRACE_TURN_MS -> trace_stop()
 *
 * Shape:     a turn empties the threads' rings and encodes what was in them. A trace has a budget of
 *            bytes a second, and of bytes in all: what would cost more is left out, outermost slice
 *            by outermost slice. How much was left out is said in the trace (an instant on the track
 *            "this trace") and in the log.
 * Returns:   0; -EBUSY: one runs already, or none; -errno: no memory or no thread could be had.
 * Ownership: the strings and counters of a config outlive the trace.
 * Thread:    MT-Safe, not AS-Safe. The caller is taken for an observer (probe/thread.h) meanwhile.
 */
#ifndef SICKBAY_TRACE_SESSION_H
#define SICKBAY_TRACE_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "probe/capture.h"

#define TRACE_TURN_MS 50
#define TRACE_BYTES_PER_SECOND (500 * 1024)
#define TRACE_BYTES_MAX (16 * 1024 * 1024)

struct trace_counter {
	const char *name, *unit; /* "bytes" or "count" */
	int64_t (*read)(void);   /* -1: unknown just now */
};

struct trace_config {
	const char *process_name;
	int64_t seconds; /* how long it will be, for the budget */
	const struct trace_counter *counters;
	size_t counter_count;
};

/* Once, before the first trace and before other threads start. Returns 0 or -errno. */
int trace_init(void) __attribute__((warn_unused_result));
int trace_start(const struct trace_config *config) __attribute__((warn_unused_result));
/* Nothing happens while none runs. */
void trace_turn(void);
/* Ends it and appends the trace to OUT. */
int trace_stop(struct strbuf *out) __attribute__((warn_unused_result));
/* Ends it, if one runs, and throws it away. */
void trace_drop(void);
/* A sample of CPU time, its tag the ticks it stands for; nothing happens while no trace runs. */
void trace_add_sample(const struct probe_stack *stack);

#endif
