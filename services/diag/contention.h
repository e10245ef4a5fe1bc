/*
 * contention: where threads wait for each other (block), and who makes them wait (mutex).
 *
 * block has the stack of the thread that waited for a mutex, a condition, a semaphore or the end of
 * a thread; mutex that of the thread that unlocked a mutex others waited for. Both are always on,
 * and so they sample: a wait of CONTENTION_RATE_NS or more always counts; of the shorter ones, one
 * in each CONTENTION_RATE_NS of a thread's time spent in them. Who still waits when a snapshot is
 * taken counts with the time until then, and the holder of the mutex under the stack it has now.
 *
 * Shape:     contentions/count and delay/nanoseconds per stack, since the start. Innermost first;
 *            the leaf is the call that waited or unlocked ("pthread_mutex_lock"), at its first
 *            address, so that finished and unfinished waits of one place are one. Of mutex, a waiter
 *            counts once for each holder that it waited for, as libc wakes one waiter an unlock. The
 *            delays are Go's; Go itself counts unlocks.
 * Bounds:    the stacks that the depot holds (probe/depot.h). What finds no room there, and captures
 *            dropped because the unwinder was outrun, are added to one entry without a stack and
 *            counted in lost_count; so are threads that do not answer.
 * Returns:   contention_init() 0 or -errno; contention_snapshot() 0, -ENODATA without the former, or
 *            -errno of a dump.
 * Ownership: the caller frees a snapshot with free().
 * Thread:    MT-Safe; not AS-Safe. contention_snapshot() takes no lock of the program, and may wait
 *            some hundred ms for threads that do not answer: not on an event loop. A wait that ends
 *            while it looks is in the next snapshot; none is in one twice.
 * Source:    Go's runtime/mprof.go: a wait shorter than the rate has the chance waited / rate, and
 *            then counts rate / waited times with rate of delay. Go draws for each wait; here one
 *            point is drawn in every stretch of the rate's length, and the wait it falls into is
 *            taken: the same chance, but the sum of the delays cannot be off by more than a stretch.
 */
#ifndef SICKBAY_DIAG_CONTENTION_H
#define SICKBAY_DIAG_CONTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "probe/depot.h"

#define CONTENTION_RATE_NS (10 * CLOCK_NS_PER_MS)

enum contention_kind { CONTENTION_BLOCK, CONTENTION_MUTEX, CONTENTION_KINDS };

struct contention_entry {
	const struct depot_stack *stack; /* NULL: not known */
	double contention_count, delay_ns;
};

struct contention_snapshot {
	enum contention_kind kind;
	int64_t time_ns; /* wall clock */
	uint64_t lost_count;
	size_t entry_count;
	struct contention_entry entries[]; /* in the order of their stacks' numbers */
};

/* Starts listening to waits, once and for good. After modules_init(). */
int contention_init(void) __attribute__((warn_unused_result));

int contention_snapshot(enum contention_kind kind, struct contention_snapshot **snapshot)
	__attribute__((warn_unused_result));
/*
 * Takes OLD from NEW, stack by stack: what happened in between. Nothing gets less than 0: a short wait
 * that OLD saw under way may not have been sampled when it ended, and a holder has gone on since. Who
 * unlocked in between gets all of the delay, as in Go.
 */
void contention_snapshot_subtract(
	struct contention_snapshot *new, const struct contention_snapshot *old);

/* gzip profile.proto. DURATION_NS 0: since the start. */
int contention_encode(const struct contention_snapshot *snapshot, int64_t duration_ns,
	struct strbuf *out) __attribute__((warn_unused_result));
/* Go's debug=1 text, the longest delay first. */
void contention_print(const struct contention_snapshot *snapshot, struct strbuf *out);

#endif
