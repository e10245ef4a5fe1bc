/*
 * cpu_sampler: a timer on the CPU clock of every thread, and the stack at each of its ticks, for
 * whoever wants them: a profile, a trace, both at once.
 *
 * Shape:     a sample's tag is how many ticks it stands for: 1, and more where the thread had no time
 *            to answer each.
 * Returns:   cpu_sampler_join() 0; -EINVAL for a bad frequency; -EBUSY where another frequency was
 *            asked for before; -ENOTSUP without gperftools; -errno: no thread could be had.
 * Ownership: a listener is its owner's, from joining until it has left.
 * Thread:    MT-Safe, not AS-Safe. on_sample() runs on one thread, an observer (probe/thread.h), and
 *            may wait for locks, but for none that is held where its listener leaves.
 * Source:    gperftools' signal handler calls us for every SIGPROF; we only copy the stack
 *            (probe/capture.h). The timers are ours, by gperftools' own recipe (one per thread, on
 *            that thread's CPU clock, delivered to that thread), because its own begin with the
 *            thread, never end, and abort the process where RLIMIT_SIGPENDING refuses one.
 */
#ifndef SICKBAY_DIAG_CPU_SAMPLER_H
#define SICKBAY_DIAG_CPU_SAMPLER_H

#include "common/strbuf.h"
#include "probe/capture.h"

/*
 * CPU timers expire on the kernel's tick (CONFIG_HZ, often 250): beyond 100 Hz the samples would no
 * longer be worth what they are billed.
 */
#define CPU_HZ_MIN 1
#define CPU_HZ_MAX 100
#define CPU_HZ_DEFAULT 100

struct cpu_listener {
	int hz; /* 0: as the others have it, CPU_HZ_DEFAULT if there are none */
	probe_on_stack *on_sample;
	void *context;
	struct cpu_listener *next; /* the sampler's */
};

/* Once, before the first join. */
void cpu_sampler_init(void);
int cpu_sampler_join(struct cpu_listener *listener) __attribute__((warn_unused_result));
/* All samples taken before have been told when it returns; none is after. */
void cpu_sampler_leave(struct cpu_listener *listener);
/*
 * Appends what somebody who reads samples should know, as a sentence: threads without a timer,
 * samples that were dropped. Nothing where nothing is amiss.
 */
void cpu_sampler_complain(struct strbuf *out);

#endif
