/*
 * sched: the scheduler latency profile: how long threads were ready to run, but had no CPU, within
 * a window.
 *
 * Shape:     a gzip profile.proto with threads/count and delay/nanoseconds: one sample a thread of
 *            the program (observers are left out), under the stack of its creator, with the label
 *            `thread`, its name. Threads that are born or end within the window are in it; beyond
 *            SCHED_NAMES_MAX of those that ended, the others come without their names.
 * Cost:      two reads of /proc a thread, with no lock held; one in each thread that ends meanwhile,
 *            nothing else while the window is open.
 * Bounds:    16 bytes a thread, and every sample once.
 * Returns:   0, or
 *            -ENOTSUP the kernel does not measure it (CONFIG_SCHED_INFO),
 *            -errno   of the compressor. Threads that could not be read are noted in the comment.
 * Ownership: the caller's; sched_profile_free() (NULL is fine) ends it, stopped or not.
 * Thread:    one thread at a time per profile, any number of profiles; not AS-Safe. Start and stop
 *            take milliseconds a hundred threads; freeing only takes the list's lock.
 * Source:    the second field of /proc/PID/task/TID/schedstat (probe/task.h). The kernel adds to it
 *            when the thread gets its CPU: of a wait that has not ended, it says nothing yet.
 */
#ifndef SICKBAY_DIAG_SCHED_H
#define SICKBAY_DIAG_SCHED_H

#include "common/strbuf.h"

#define SCHED_NAMES_MAX 10000

struct sched_profile;

int sched_profile_start(struct sched_profile **profile) __attribute__((warn_unused_result));
/* Once: the window ends here; appends the profile to OUT. */
int sched_profile_stop(struct sched_profile *profile, struct strbuf *out)
	__attribute__((warn_unused_result));
void sched_profile_free(struct sched_profile *profile);

#endif
