/*
 * fd: what is open just now, and who opened it: the list of probe/fd.h beside /proc/self/fd.
 *
 * Shape:     descriptors in the order of their numbers. Those that observers opened are not the
 *            program's, and left out. The others of /proc/self/fd that the list does not have are
 *            `untracked`: inherited, or opened where no call is seen (probe/README.md).
 *            Connections are sockets that were accepted or connected; untracked ones by whether they
 *            have a peer now.
 * Returns:   fd_snapshot_take() 0, or -errno of nofile_for_each() (common/nofile.h), which needs no
 *            descriptor.
 * Ownership: the caller frees a snapshot with free().
 * Thread:    MT-Safe; not AS-Safe. May wait 100 ms for stacks: not on an event loop.
 */
#ifndef SICKBAY_DIAG_FD_H
#define SICKBAY_DIAG_FD_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "probe/fd.h"

enum fd_scope { FD_ALL, FD_CONNECTIONS };

struct fd_view {
	int number;
	bool tracked; /* or nothing of `opened` is known */
	struct probe_fd opened;
};

struct fd_snapshot {
	enum fd_scope scope;
	int64_t time_ns;      /* wall clock */
	int64_t monotonic_ns; /* the same moment */
	size_t untracked_count;
	size_t view_count;
	struct fd_view views[];
};

/* SINCE_NS: only what was opened from then on (monotonic), and so nothing untracked. 0: all. */
int fd_snapshot_take(enum fd_scope scope, int64_t since_ns, struct fd_snapshot **snapshot)
	__attribute__((warn_unused_result));

/*
 * gzip profile.proto: open/count by the stack that opened, with the labels kind and age (in whole
 * seconds). DURATION_NS 0: all that is open.
 */
int fd_encode(const struct fd_snapshot *snapshot, int64_t duration_ns, struct strbuf *out)
	__attribute__((warn_unused_result));
/* "fd profile: total 52", then the groups of equal stacks and kinds, the largest first. */
void fd_print_groups(const struct fd_snapshot *snapshot, struct strbuf *out);
/*
 * Every descriptor: its number, kind and age, what it leads to, who opened it where.
 *     fd 12 [file, 41 seconds]: "/tmp/sickbay-mSXtZa/sickbay-file-tEWGUi"
 *     opened by thread 314
 *     create_files
 *     	/src/.../fd_leak.c:66 +0x9b
 */
void fd_print_each(const struct fd_snapshot *snapshot, struct strbuf *out);

#endif
