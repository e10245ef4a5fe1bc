/*
 * births: who of the stack lived when, and whom its threads gave birth to while the kernel was recording.
 *
 * Nobody who looks into /proc from time to time sees a thread that ends at once. The kernel's trace has
 * its number in task_newtask, and its creator returns from clone(2) with the one that the container
 * counts with. A thread's last switch says that it is dead; sched_process_free may come too late, or in
 * the turn of a thread that is not recorded.
 *
 * Errors:    -EBADMSG for what is no packet of a trace.
 * Thread:    one thread at a time per list of tasks.
 * Source:    include/linux/sched.h of the kernel (EXIT_DEAD, EXIT_ZOMBIE), and what sched_switch makes of it.
 */
#ifndef SICKBAY_RECORDER_BIRTHS_H
#define SICKBAY_RECORDER_BIRTHS_H

#include "recorder/packets.h"
#include "recorder/tasks.h"

/* Adds to TASKS whom a watch has SEEN, and their children, with those they gave birth to themselves. */
int births_find(const struct packets *kernel, const struct tasks *seen, struct tasks *tasks)
	__attribute__((warn_unused_result));

#endif
