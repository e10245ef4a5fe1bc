/*
 * writer: the writers' side of a trace: every thread's ring, and who may still write. Private to trace.
 *
 * A thread takes a ring when it first has something to say, and keeps it until it ends; whoever
 * drains reads all rings, and gives back those of ended threads.
 *
 * Thread:    writers_start(), writers_stop() and writers_visit() by one thread at a time; the others are
 *            MT-Safe and AS-Safe.
 */
#ifndef SICKBAY_TRACE_WRITER_H
#define SICKBAY_TRACE_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace/ring.h"

/* One for each thread that says anything; those beyond are counted as dropped. */
#define WRITERS_MAX 1024

enum record_kind {
	RECORD_BEGIN, /* name */
	RECORD_END,
	RECORD_INSTANT,      /* name */
	RECORD_COUNTER,      /* name, value */
	RECORD_NUMBER,       /* key, value: of the record before */
	RECORD_TEXT,         /* key, text: likewise */
	RECORD_FLOW,         /* flow; flags 1: it ends here */
	RECORD_ASYNC_BEGIN,  /* name, number */
	RECORD_ASYNC_NUMBER, /* number, key, value */
	RECORD_ASYNC_END,    /* number */
	RECORD_SYSCALL,      /* end_ns, call, fd, size_bytes, result, ticket of its stack, path */
	RECORD_WAIT,         /* end_ns, call, object */
	RECORD_THREAD_START, /* number, tid, created_by_pc */
	RECORD_THREAD_END,   /* number, tid, name */
};

struct writer {
	struct ring ring;
	_Atomic(uint64_t) track; /* 0: free */
	pid_t tid;
	atomic_bool is_busy; /* between writer_enter() and writer_leave() */
	atomic_bool has_ended;
	_Atomic(uint64_t) thinned_count; /* written by its thread, and at the start */

	/* The thread's own. */
	unsigned session;
	unsigned depth;       /* of slices that were recorded */
	unsigned muted_depth; /* of slices that are left out, within those */
	bool is_skipping_details;

	/* The reader's (reader.c). */
	uint32_t read_until;
	bool is_last;     /* nothing comes after read_until */
	uint64_t request; /* details are of this one; 0: of what is held */
	struct held_event *held;
};

/* Call once, before other threads start. */
int writers_init(void) __attribute__((warn_unused_result));
/* CREDIT_BYTES as for writers_add_credit(). */
void writers_start(int64_t credit_bytes);
/*
 * Nobody writes any more when it returns true; false: some thread was stopped in the middle, for a
 * second now.
 */
bool writers_stop(void);

/*
 * What the next outermost slices may cost, in bytes of the trace, and what one of them does on the
 * average.
 */
void writers_add_credit(int64_t bytes, int64_t limit_bytes);
void writers_set_cost(int64_t bytes);

/*
 * Since writers_start(): what found no room, in a ring or in the budget; outermost slices left out; those
 * that were not.
 */
struct writer_counts {
	uint64_t dropped, thinned, admitted;
};
struct writer_counts writer_counts(void);

/* Calls VISIT for each writer there is. */
void writers_visit(void (*visit)(struct writer *writer, void *context), void *context);
/* After the last record of a thread that has ended. */
void writer_release(struct writer *writer);

/*
 * The calling thread's writer, which is its own until writer_leave(); NULL: it has nothing to say
 * now.
 */
struct writer *writer_enter(void);
void writer_leave(struct writer *writer);
/*
 * Whether something may be recorded: by credit outside of every slice, never within one that is left
 * out, and within a recorded slice unless the credit is overdrawn by as much as it was at the start.
 */
bool writer_admits(struct writer *writer);
/* The calling thread's writer if it is within a slice that is left out: the thread then only counts. */
struct writer *writer_muted(void);
/*
 * Whether it is worth looking at what the calling thread does now; counts it as left out where it is
 * not. For what would be expensive to look at.
 */
bool writer_is_wanted(void);
/*
 * Room for the ends of OPEN_DEPTH slices stays free: no slice is left open for want of it. A record
 * without a time is of now: the clock is read only for those that are recorded.
 */
bool writer_put_within(struct writer *writer, struct record *record, unsigned open_depth);
/* The same, within the slices that are open; it takes no details. */
void writer_put(struct writer *writer, struct record *record);
/* A thread's track. NUMBER: of its birth (probe/thread.h), or 0. */
uint64_t writer_track_of(uint64_t number, pid_t tid);

#endif
