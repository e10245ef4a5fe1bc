/*
 * task: what the kernel says of single threads, from /proc/self/task. Slow (microseconds a file):
 * for what the list of threads (thread.h) does not know.
 *
 * Errors:    a thread that has ended gives -ESRCH; otherwise -errno.
 * Thread:    MT-Safe; not AS-Safe. Descriptors are opened with headroom (common/nofile.h).
 * Source:    proc(5); Documentation/scheduler/sched-stats.rst of the kernel for schedstat.
 */
#ifndef SICKBAY_PROBE_TASK_H
#define SICKBAY_PROBE_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROBE_NAME_BYTES 16 /* of a thread's name, with its NUL */

int probe_task_name(pid_t tid, char name[PROBE_NAME_BYTES]) __attribute__((warn_unused_result));
/* Whether the thread blocks SIGNAL; false also where that cannot be read. */
bool probe_task_blocks(pid_t tid, int signal);

struct probe_task_sched {
	int64_t run_ns;   /* on a CPU so far */
	int64_t delay_ns; /* ready, but waiting for a CPU, so far */
};
int probe_task_sched(pid_t tid, struct probe_task_sched *sched) __attribute__((warn_unused_result));

/* How many there are, from one file; -1 if it cannot be read. */
int64_t probe_task_count(void);
int probe_task_for_each(void (*visit)(pid_t tid, void *context), void *context)
	__attribute__((warn_unused_result));

#endif
