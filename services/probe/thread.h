/*
 * thread: the one list of the process's live threads, kept by interposing pthread_create.
 *
 * Shape:     a struct probe_thread per live thread, the main thread included. Threads that somebody
 *            starts past pthread_create (a raw clone) are not in the list.
 * Ownership: the entry is the thread's: it appears before the thread's own code runs and is gone
 *            after its last destructor began. Others may read it only with the list locked.
 *            A forked child has its parent's list, and locks as they were: it may exec, no more.
 * Thread:    MT-Safe; probe_thread_self() is AS-Safe. Nothing here waits for another thread but for
 *            the list's own lock, under which only callbacks of this folder and of diag run: none
 *            of them takes a lock of the program.
 */
#ifndef SICKBAY_PROBE_THREAD_H
#define SICKBAY_PROBE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "probe/depot.h"
#include "probe/task.h"
#include "probe/wait.h"

#define PROBE_LOCKED_SITES 16

/* Where a thread locked a mutex. */
struct probe_locked_site {
	_Atomic(const void *) mutex;
	_Atomic(uintptr_t) pc;
};

struct probe_thread {
	uint64_t number; /* births are counted from 1, and no number comes twice */
	pthread_t pthread;
	pid_t tid;                        /* 0: announced by its creator, not born yet */
	uintptr_t stack_start, stack_end; /* [start, end) of its frames; 0, 0 if unknown */
	uintptr_t created_by_pc; /* within the call of pthread_create; 0 for the main thread */
	/*
	 * The creator's stack at that call; NULL until it was unwound, and for threads from before
	 * probe_births_start(). Guarded by the list's lock.
	 */
	const struct depot_stack *created_by;
	int64_t created_ns;          /* monotonic */
	char name[PROBE_NAME_BYTES]; /* as the kernel has it; guarded by the list's lock */
	bool observer;               /* diagnoses the others: left out of profiles */

	/*
	 * The instruments' own places, so that nobody keeps a second list. Written under the list's
	 * lock or by the thread itself.
	 */
	timer_t cpu_timer;
	bool cpu_timer_armed;
	struct wait_mark wait_mark; /* what it waits for (wait.c) */
	atomic_uint wait_changes;   /* of the mark; odd while it is being written */
	struct probe_locked_site locked[PROBE_LOCKED_SITES]; /* by the mutex's address */
	_Atomic(struct dump_slot *) dump_slot; /* a dump waits for this thread's answer */

	struct probe_thread *next, *previous; /* guarded by the list's lock */
};

/* Enters the main thread. Call once, in it, before other threads start. */
void probe_thread_init(void);
/* The calling thread's entry; NULL for a thread that is not in the list. */
struct probe_thread *probe_thread_self(void);
void probe_thread_for_each(
	void (*visit)(struct probe_thread *thread, void *context), void *context);
size_t probe_thread_count(void);

/*
 * A walk through the list in portions, oldest thread first, without its lock in between: what ends
 * meanwhile is not seen, what is born after the start neither.
 */
struct probe_thread_walk {
	struct probe_thread bookmark;
	uint64_t end_number;
};
void probe_thread_walk_begin(struct probe_thread_walk *walk);
/* Visits up to MAX_COUNT threads more, with the list locked. Returns how many; 0: that was all. */
size_t probe_thread_walk_next(struct probe_thread_walk *walk, size_t max_count,
	void (*visit)(struct probe_thread *thread, void *context), void *context);
/* Every walk that began has to end: it has a place in the list. */
void probe_thread_walk_end(struct probe_thread_walk *walk);
/*
 * Runs WORK with the list locked: entries that were seen in the list, and did not end, stand still.
 */
void probe_thread_locked(void (*work)(void *context), void *context);

/* Both run in the thread that begins or ends, with the list locked. */
struct probe_thread_listener {
	void (*on_start)(struct probe_thread *thread);
	void (*on_end)(struct probe_thread *thread);
};
/* One listener per caller, for good; the listener must outlive the process. */
void probe_thread_subscribe(const struct probe_thread_listener *listener);

/*
 * From now on the stacks of those who create threads are kept: costs a copy of 16 KiB at most a
 * thread. After modules_init(). Returns 0 or -errno.
 */
int probe_births_start(void) __attribute__((warn_unused_result));
/*
 * Returns when the creators of all threads born so far are known, as far as they ever will be; after
 * 100 ms in any case.
 */
void probe_births_flush(void);

/* The calling thread observes for good. */
void probe_thread_observe(void);
/*
 * Between the two, the calling thread works for the diagnosis (nestable, AS-Safe): what it
 * allocates is not the program's.
 */
void probe_observe_begin(void);
void probe_observe_end(void);
bool probe_observing(void);

#endif
