/*
 * cpu: the CPU profile: where threads spend their CPU time, at a given rate per thread.
 *
 * Sampled by cpu_sampler.h, on timers that exist only while somebody listens; threads born meanwhile
 * join in.
 *
 * Shape:     a gzip profile.proto with samples/count and cpu/nanoseconds; a sample of a timer that
 *            overran counts more.
 * Returns:   0, or
 *            -EBUSY   a profile is running (start), or none is (stop),
 *            -EINVAL  hz outside CPU_HZ_MIN..CPU_HZ_MAX,
 *            -ENOTSUP built without gperftools,
 *            -errno   of threads or memory.
 *            A refused timer is no error: it is logged and noted in the profile's comment.
 * Thread:    MT-Safe; not AS-Safe. None of it waits for the time to pass: the caller does, then
 *            stops.
 */
#ifndef SICKBAY_DIAG_CPU_H
#define SICKBAY_DIAG_CPU_H

#include "common/strbuf.h"
#include "diag/cpu_sampler.h"

/* After cpu_sampler_init(). */
int cpu_profile_start(int hz) __attribute__((warn_unused_result));
/* Ends the profile and appends it to OUT. */
int cpu_profile_stop(struct strbuf *out) __attribute__((warn_unused_result));
/* Ends it, if it runs, and throws it away. */
void cpu_profile_drop(void);

#endif
