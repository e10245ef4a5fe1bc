/*
 * wall: the wall-clock profile: where threads are, whether they run or wait.
 *
 * Sweeps look at all threads of the program (thread_snapshot.h), observers left out. What a thread
 * was seen doing stands until the next sweep begins, or the profile stops: so each thread that
 * lives throughout gets the whole window, whatever the rate turns out to be.
 *
 * Shape:     a gzip profile.proto with samples/count and wall/nanoseconds, each sample with the
 *            label `state` ("running", "futex wait"). A thread that does not answer counts under
 *            the stack of its creator. The number of sweeps is in the comment.
 * Cost:      a sweep takes microseconds a thread. The next one is due no earlier than WALL_PAUSE
 *            times its duration after it began: they take 5 % of the time at most.
 * Bounds:    one snapshot, and every stack with its state once.
 * Returns:   0, or
 *            -EINVAL  hz outside WALL_HZ_MIN..WALL_HZ_MAX,
 *            -errno   of the first sweep, or of the compressor. Later sweeps that fail are noted in
 *                     the comment.
 * Ownership: the caller's; wall_profile_free() (NULL is fine) ends it, stopped or not.
 * Thread:    one thread at a time per profile, any number of profiles; not AS-Safe. None of it
 *            waits for the time to pass: the caller does. Signals as in probe/dump.h.
 */
#ifndef SICKBAY_DIAG_WALL_H
#define SICKBAY_DIAG_WALL_H

#include <stdint.h>

#include "common/strbuf.h"

#define WALL_HZ_MIN 1
#define WALL_HZ_MAX 50
#define WALL_HZ_DEFAULT 10
#define WALL_PAUSE 20

struct wall_profile;

/* Makes the first sweep. */
int wall_profile_start(int hz, struct wall_profile **profile) __attribute__((warn_unused_result));
/* When the next sweep is due, monotonic. */
int64_t wall_profile_due_ns(const struct wall_profile *profile);
void wall_profile_sweep(struct wall_profile *profile);
/* Once: the window ends here; appends the profile to OUT. */
int wall_profile_stop(struct wall_profile *profile, struct strbuf *out)
	__attribute__((warn_unused_result));
void wall_profile_free(struct wall_profile *profile);

#endif
