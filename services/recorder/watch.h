/*
 * watch: finds the threads of the stack's containers, those too that begin later, and tells the
 * kernel whom to record.
 *
 * Works without any capability: /proc/PID/cgroup names the container, and the last number of NSpid in
 * /proc/PID/task/TID/status is the one that the container itself counts with; all may read both.
 *
 * Shape:     CONTAINERS are ids as the engine has them, the patient's first. Each thread is a line in
 *            TASKS (tasks.h) and a number in EVENT_PIDS, which is set_event_pid of a tracefs instance.
 * Returns:   watch_pass() how many threads are new.
 * Errors:    -errno of writing; threads and processes that end meanwhile are none.
 * Thread:    one thread at a time per watch.
 * Source:    proc(5), pid_namespaces(7), cgroups(7); Documentation/trace/events.rst of the kernel.
 */
#ifndef SICKBAY_RECORDER_WATCH_H
#define SICKBAY_RECORDER_WATCH_H

#include "recorder/tasks.h"

struct watch {
	const char *proc; /* "/proc" */
	char *const *containers;
	size_t container_count;
	int event_pids_fd, tasks_fd;
	uint32_t *seen_in; /* TASK_TID_MAX, of 0: the pass that saw the thread last */
	uint32_t pass_number;
};

int watch_pass(struct watch *watch) __attribute__((warn_unused_result));

#endif
