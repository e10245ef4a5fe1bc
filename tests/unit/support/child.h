/*
 * child: the test program once more, in a process of its own whose stderr is read: for what ends a
 * process, or blocks its signals.
 *
 * Ownership: child_await_end() gives everything back.
 */
#ifndef SICKBAY_TESTS_CHILD_H
#define SICKBAY_TESTS_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "common/strbuf.h"

#define CHILD_WAIT_NS (30 * CLOCK_NS_PER_SEC)

struct child {
	pid_t pid;
	int pid_fd, stderr_fd;
	struct strbuf text; /* of its stderr, so far */
	size_t seen_bytes;  /* of that: what was awaited already */
};

/* Runs main() with NAME and ARGUMENT as argv. It leaves no core, and ends with the caller. */
struct child child_start(const char *name, const char *argument);
/* Returns once PART came, after all that was awaited before; fails the test if it never does. */
void child_await(struct child *child, const char *part);
/* Returns by which signal it ended; fails the test if it takes longer, or ended otherwise. */
int child_await_end(struct child *child, int64_t patience_ns);

#endif
