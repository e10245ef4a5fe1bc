/*
 * thread: the one list of the process's live threads, kept by interposing pthread_create.
 *
 * Shape:     a struct probe_thread per live thread, the main thread included. Threads that somebody
 *            starts past pthread_create (a raw clone) are not in the list.
 * Ownership: the entry is the thread's: it appears before the thread's own code runs and is gone
 *            after its last destructor began. Others may read it only inside
 *            probe_thread_for_each().
 * Thread:    MT-Safe; probe_thread_self() is AS-Safe. Nothing here waits for another thread but for
 *            the list's own lock, under which only callbacks of this folder and of diag run: none
 *            of them takes a lock of the program.
 */
#ifndef SICKBAY_PROBE_THREAD_H
#define SICKBAY_PROBE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct probe_thread {
	pthread_t pthread;
	pid_t tid;
	uintptr_t stack_start, stack_end; /* [start, end) of its stack; 0, 0 if unknown */
	uintptr_t created_by_pc; /* within the call of pthread_create; 0 for the main thread */
	int64_t created_ns;      /* monotonic */
	bool observer;           /* diagnoses the others: left out of profiles */

	/*
	 * A listener's own place, so that nobody keeps a second list. Written under the list's lock
	 * or by the thread itself in a callback.
	 */
	timer_t cpu_timer;
	bool cpu_timer_armed;

	struct probe_thread *next, **link; /* guarded by the list's lock */
};

/* Enters the main thread. Call once, in it, before other threads start. */
void probe_thread_init(void);
/* The calling thread's entry; NULL for a thread that is not in the list. */
struct probe_thread *probe_thread_self(void);
void probe_thread_for_each(
	void (*visit)(struct probe_thread *thread, void *context), void *context);
size_t probe_thread_count(void);

/* Both run in the thread that begins or ends, with the list locked. */
struct probe_thread_listener {
	void (*on_start)(struct probe_thread *thread);
	void (*on_end)(struct probe_thread *thread);
};
/* One listener per caller, for good; the listener must outlive the process. */
void probe_thread_subscribe(const struct probe_thread_listener *listener);

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
