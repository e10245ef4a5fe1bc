/*
 * tasks: the threads of the stack, by the numbers that the kernel's trace and the patient's have
 * for them.
 *
 * Shape:     start with `struct tasks tasks = TASKS_INIT`. The host gives a number again, to others too:
 *            a thread has it for a time, in ns of CLOCK_BOOTTIME.
 * Returns:   tasks_find() NULL, tasks_host_tid() 0 where there is none.
 * Errors:    tasks_read(): -EBADMSG for a line that is none of ours, otherwise -errno.
 * Ownership: tasks_free() gives everything back. What tasks_find() returns is good until the next
 *            tasks_add().
 * Thread:    one thread at a time per list.
 * Source:    the text is the recorder's own, from watch.c: a line a thread, "HOST LOCAL CONTAINER
 *            SEEN_NS", where container 0 is the patient's.
 */
#ifndef SICKBAY_RECORDER_TASKS_H
#define SICKBAY_RECORDER_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hash_index.h"

#define TASK_TID_MAX 4194304 /* no thread of Linux has this number or one above */
#define TASK_ALIVE UINT64_MAX

struct task {
	int32_t host_tid;  /* as the kernel counts */
	int32_t local_tid; /* as its own container counts; 0: not known */
	bool is_patient;
	uint64_t born_ns, gone_ns; /* or when it was seen first; TASK_ALIVE */
};

struct tasks {
	struct task *items;
	size_t count, capacity;
	struct hash_index by_host, by_local; /* by_local: the patient's only */
};

#define TASKS_INIT                                           \
	{                                                    \
		NULL, 0, 0, HASH_INDEX_INIT, HASH_INDEX_INIT \
	}

void tasks_add(struct tasks *tasks, struct task task);
/* Who had the number then. */
struct task *tasks_find(const struct tasks *tasks, int32_t host_tid, uint64_t at_ns);
/* TASK is one of TASKS, and its local number was not known. */
void tasks_tell_local(struct tasks *tasks, struct task *task, int32_t local_tid);
/* The host's number of a thread of the patient. */
int32_t tasks_host_tid(const struct tasks *tasks, int32_t local_tid);
int tasks_read(struct tasks *tasks, const char *path) __attribute__((warn_unused_result));
void tasks_free(struct tasks *tasks);

#endif
