/*
 * fd: the one list of the process's open descriptors: who opened each, when and where, kept by
 * interposing the calls that open and close (syscalls.def).
 *
 * Shape:     an entry per descriptor number, from the call that opened it until it is closed. What
 *            was opened before probe_fd_start(), within libc or past it (README.md) has none: whoever
 *            asks compares with /proc/self/fd. A number that was closed past us and opened again past
 *            us still has its old entry. Calls that failed change nothing.
 * Bounds:    numbers below the hard limit of descriptors at the start, PROBE_FD_MAX at most. A burst of
 *            openings that overtakes the unwinding leaves entries without a stack, with `pc` alone.
 * Returns:   probe_fd_start() 0 or -errno.
 * Thread:    MT-Safe, without locks. The interposers' side is AS-Safe too, as open() and close() are.
 *            A forked child has its parent's entries, and nobody who unwinds stacks. One of vfork()
 *            shares them: what it closes itself, before it execs, is taken for closed.
 */
#ifndef SICKBAY_PROBE_FD_H
#define SICKBAY_PROBE_FD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/depot.h"

#define PROBE_FD_MAX (1 << 20)

enum probe_fd_kind {
	PROBE_FD_FILE,
	PROBE_FD_DIRECTORY,
	PROBE_FD_PIPE,
	PROBE_FD_SOCKET,
	PROBE_FD_LISTENER,
	PROBE_FD_CONNECTION, /* connect() was called and did not fail at once */
	PROBE_FD_ACCEPTED,
	PROBE_FD_SOCKETPAIR,
	PROBE_FD_EPOLL,
	PROBE_FD_EVENTFD,
	PROBE_FD_TIMERFD,
	PROBE_FD_SIGNALFD,
	PROBE_FD_INOTIFY,
	PROBE_FD_MEMFD,
	PROBE_FD_OTHER, /* a copy of one that has no entry */
	PROBE_FD_KINDS,
};

struct probe_fd {
	enum probe_fd_kind kind;
	bool observer;                   /* opened by a thread that diagnoses */
	pid_t tid;                       /* who opened it; may have ended */
	int64_t opened_ns;               /* monotonic */
	uintptr_t pc;                    /* in the function that called open(), within the call */
	const struct depot_stack *stack; /* from that function on; NULL: not known */
};

/*
 * From now on descriptors are tracked, for good: an opening costs a copy of 16 KiB of stack at most.
 * After modules_init().
 */
int probe_fd_start(void) __attribute__((warn_unused_result));
/* Returns when the stacks of what is open are known, as far as they will be; after 100 ms anyhow. */
void probe_fd_flush(void);
/* False: there is no entry. */
bool probe_fd_read(int fd, struct probe_fd *seen);

#endif
