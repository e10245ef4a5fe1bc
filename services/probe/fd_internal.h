/*
 * fd_internal: what the interposers tell the list of descriptors. Private to probe.
 *
 * Thread:    MT-Safe and AS-Safe; errno stays as it is. Before probe_fd_start() nothing of fd.c runs: a
 *            sanitizer's own start calls the interposers before it can bear its own checks.
 */
#ifndef SICKBAY_PROBE_FD_INTERNAL_H
#define SICKBAY_PROBE_FD_INTERNAL_H

#include <stdatomic.h>

#include "probe/fd.h"

extern atomic_bool fd_is_started;

void fd_add(int fd, enum probe_fd_kind kind, uintptr_t pc);
void fd_add_copy(int fd, int copy, uintptr_t pc);
void fd_remove(int fd);
void fd_remove_closed(unsigned first, unsigned last);
void fd_set_kind(int fd, enum probe_fd_kind kind);

static inline bool fd_is_told(void)
{
	return atomic_load_explicit(&fd_is_started, memory_order_acquire);
}

/* After the call: FD, negative where it failed, was opened; PC as in struct probe_fd. */
static inline void fd_opened(int fd, enum probe_fd_kind kind, uintptr_t pc)
{
	if (fd_is_told() && fd >= 0)
		fd_add(fd, kind, pc);
}

/* COPY, negative where it failed, is FD's now. */
static inline void fd_copied(int fd, int copy, uintptr_t pc)
{
	if (fd_is_told() && copy >= 0 && copy != fd)
		fd_add_copy(fd, copy, pc);
}

/*
 * Before the call, as its argument: from the moment the kernel has closed it, the number may be
 * another's. No harm where the call fails: then it had no entry, or a wrong one.
 */
static inline int fd_closing(int fd)
{
	if (fd_is_told())
		fd_remove(fd);
	return fd;
}

/* After a call that closes many, or none: those that are closed by now. */
static inline void fd_closed_range(unsigned first, unsigned last)
{
	if (fd_is_told())
		fd_remove_closed(first, last);
}

static inline void fd_became(int fd, enum probe_fd_kind kind)
{
	if (fd_is_told())
		fd_set_kind(fd, kind);
}

#endif
