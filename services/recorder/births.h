/*
 * births: whom the stack's threads gave birth to while the kernel was recording.
 *
 * Nobody who looks into /proc from time to time sees a thread that ends at once. The kernel's trace has
 * its number in task_newtask, and its creator returns from clone(2) with the one that the container
 * counts with.
 *
 * Errors:    -EBADMSG for what is no packet of a trace.
 * Thread:    one thread at a time per list of tasks.
 */
#ifndef SICKBAY_RECORDER_BIRTHS_H
#define SICKBAY_RECORDER_BIRTHS_H

#include "recorder/packets.h"
#include "recorder/tasks.h"

/* Adds them to TASKS, with those they gave birth to themselves. */
int births_add(const struct packets *kernel, struct tasks *tasks)
	__attribute__((warn_unused_result));

#endif
