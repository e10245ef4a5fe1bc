/*
 * cpu: the CPU profile: where threads spend their CPU time, at a given rate per thread.
 *
 * gperftools' signal handler calls us for every SIGPROF; we only copy the stack (probe/capture.h).
 * The timers are ours, by gperftools' own recipe (one per thread, on that thread's CPU clock,
 * delivered to that thread), because its own begin with the thread, never end, and abort the
 * process where RLIMIT_SIGPENDING refuses one. Ours exist only while a profile runs. Threads born
 * meanwhile join in.
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

/*
 * CPU timers expire on the kernel's tick (CONFIG_HZ, often 250): beyond 100 Hz the samples would no
 * longer be worth what they are billed.
 */
#define CPU_HZ_MIN 1
#define CPU_HZ_MAX 100
#define CPU_HZ_DEFAULT 100

/* Once, before the first profile. */
void cpu_profile_init(void);
int cpu_profile_start(int hz) __attribute__((warn_unused_result));
/* Ends the profile and appends it to OUT. */
int cpu_profile_stop(struct strbuf *out) __attribute__((warn_unused_result));
/* Ends it, if it runs, and throws it away. */
void cpu_profile_drop(void);

#endif
