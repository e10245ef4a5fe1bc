/*
 * syscall: the program's own system calls, as they end, seen by interposing libc's functions.
 *
 * syscalls.def lists the functions. The executable's definition takes the calls of shared libraries
 * too; what libc calls within itself stays unseen (README.md). Calls that wait for something to happen
 * are not here: wait.h tells of these.
 *
 * Shape:     a call that fails is told too. One that a cancelled thread never returned from ends with
 *            -ECANCELED; one that a signal handler left by longjmp() is not told. A function may
 *            have several descriptors, paths or sizes: the first of each counts.
 * Ownership: what on_end() gets is valid during the call.
 * Thread:    MT-Safe. The listener runs in the thread that calls, wherever that is: also in a signal
 *            handler or, of mmap and sbrk, within malloc. So both its functions are AS-Safe, allocate
 *            nothing, take no lock and call nothing that a thread can be cancelled in. Not told are
 *            the calls of threads that observe, of threads that are not in the list (thread.h), and
 *            those that are made while the listener runs.
 */
#ifndef SICKBAY_PROBE_SYSCALL_H
#define SICKBAY_PROBE_SYSCALL_H

#include <stdbool.h>
#include <stdint.h>

struct probe_syscall_call {
	const char *function; /* what the program called: "mkstemp" */
	const char *syscall;  /* what the kernel is asked for, as strace counts it: "openat" */
};

struct probe_syscall {
	const struct probe_syscall_call *call; /* one per function, for good */
	int64_t begin_ns, end_ns;              /* monotonic */
	int fd;             /* -1: takes none. Of openat and unlinkat the directory, or AT_FDCWD */
	const char *path;   /* NULL: takes none, or it cannot be read. Of mkstemp what it made */
	int64_t size_bytes; /* asked for; -1: takes none, or a list of them (writev, sendmsg) */
	int64_t result;     /* what it returned; of fopen the descriptor; -errno where it failed */
};

struct probe_syscall_listener {
	/* Before the call. False: it goes straight on, and its end is not told. */
	bool (*is_wanted)(void);
	/* After it. errno is kept by who calls this. */
	void (*on_end)(const struct probe_syscall *call);
};

/*
 * NULL: nobody listens; then an interposed call costs one predictable branch. Calls that have begun
 * are told to the listener that wanted them: it must outlive the process.
 */
void probe_syscall_listen(const struct probe_syscall_listener *listener);

#endif
