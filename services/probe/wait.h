/*
 * wait: what a thread waits for, and since when, kept by interposing the calls that wait.
 *
 * waits.def lists the calls; each marks the thread's entry (thread.h) before it goes on to libc's,
 * and clears it after. The mutex calls (mutex.c) do it only where they find the mutex taken.
 *
 * Shape:     `call` is NULL while the thread does not wait. A wait that is left by longjmp() stays
 *            marked until the thread's next one. What a signal handler does within a wait is hidden
 *            behind the mark: the wait is what shows.
 * Thread:    MT-Safe. Listeners run in the thread that waited, or unlocked, with no lock of probe
 *            held, maybe in a signal handler or while the thread is being cancelled; not in threads
 *            that observe.
 */
#ifndef SICKBAY_PROBE_WAIT_H
#define SICKBAY_PROBE_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/anchor.h"

enum probe_wait_kind {
	PROBE_WAIT_MUTEX,
	PROBE_WAIT_COND,
	PROBE_WAIT_SEMAPHORE,
	PROBE_WAIT_THREAD, /* for its end */
	PROBE_WAIT_IO,
	PROBE_WAIT_TIME,
	PROBE_WAIT_SIGNAL,
	PROBE_WAIT_KINDS,
};

/* Sets of kinds. */
#define PROBE_WAITS_FOR_THREADS ((1U << (PROBE_WAIT_THREAD + 1)) - 1)
#define PROBE_WAITS_ALL ((1U << PROBE_WAIT_KINDS) - 1)

struct probe_wait_call {
	const char *function; /* "pthread_cond_wait" */
	const char *state;    /* in the words of the kernel: "futex wait" */
	enum probe_wait_kind kind;
};

struct probe_wait {
	const struct probe_wait_call *call;
	const void *object; /* the mutex, condition or semaphore; else NULL */
	int64_t since_ns;   /* monotonic */
};

/* What the thread's entry has of it. Private to probe. */
struct wait_mark {
	struct probe_wait wait;
	struct anchor anchor; /* of the interposer's frame, which stands still meanwhile */
};

struct probe_wait_listener {
	/* Whose ends are told, a bit each. Those that nobody wants cost one predictable branch. */
	unsigned kinds;
	void (*on_wait_end)(const struct probe_wait *wait, int64_t now_ns);
	/*
	 * Before a mutex is unlocked that others wait for; may be NULL. WAITED_NS: how long they did,
	 * together, since it was locked; WAITER_COUNT: how many did.
	 */
	void (*on_contended_unlock)(int64_t waited_ns, unsigned waiter_count);
};

/* So many listeners at once. What a thread has begun to tell still comes: they outlive the process. */
#define PROBE_WAIT_LISTENERS_MAX 4
void probe_wait_subscribe(const struct probe_wait_listener *listener);
void probe_wait_unsubscribe(const struct probe_wait_listener *listener);

/*
 * The program's threads that wait just now; those that observe are left out. Runs with the list of
 * threads locked: VISIT takes no lock of the program.
 */
void probe_wait_for_each(
	void (*visit)(pid_t tid, const struct probe_wait *wait, void *context), void *context);

/*
 * Mutexes that threads wait for just now: how long they did, together, since the mutex was locked.
 * Mutexes beyond PROBE_CONTENDED_MAX at once are left out.
 */
#define PROBE_CONTENDED_MAX 1024
void probe_contended_for_each(
	void (*visit)(const void *mutex, int64_t waited_ns, unsigned waiter_count, void *context),
	void *context);

/*
 * Where thread TID locked MUTEX, as an address within the call; 0 where it does not hold it, or where
 * that is not known any more. MT-Safe.
 */
uintptr_t probe_locked_at(pid_t tid, const void *mutex);

#endif
