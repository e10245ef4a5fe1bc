/*
 * read_dump: the stacks of all threads in memory, to be asked what a person would ask; and threads
 * that are known to wait, to be found there.
 *
 * Ownership: read_dump_take() aborts the test where there is no dump; read_dump_free() frees.
 */
#ifndef SICKBAY_TESTS_READ_DUMP_H
#define SICKBAY_TESTS_READ_DUMP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "probe/dump.h"

struct read_dump {
	struct probe_dumped *threads;
	size_t count, capacity;
	int64_t taken_ns; /* how long it took */
};

struct read_dump read_dump_take(enum probe_dump_scope scope);
void read_dump_free(struct read_dump *dump);
/* The only thread of that name, or with that tid; NULL if there is none. */
const struct probe_dumped *read_dump_named(const struct read_dump *dump, const char *name);
const struct probe_dumped *read_dump_tid(const struct read_dump *dump, pid_t tid);
bool read_dump_has_frame(const struct probe_dumped *thread, const char *function);
/* The name of the function that PC lies in. */
const char *read_dump_function(uintptr_t pc);

/* Starts a thread whose name is NAME from its first instruction of BODY on. */
pthread_t named_thread_start(const char *name, void (*body)(void));
/*
 * Returns once thread NAME waits in FUNCTION, in the kernel (NULL: is there, and waits in nothing);
 * fails the test if it never does.
 */
void named_thread_await(const char *name, const char *function);

#endif
