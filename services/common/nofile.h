/*
 * nofile: the soft descriptor limit, and headroom above it, for infrastructure only.
 *
 * A descriptor leak ends with EMFILE for the code that leaks; the server around it must go on
 * accepting and answering. So an accept or open of ours that met EMFILE is tried again between
 * nofile_headroom_enter() and nofile_headroom_leave(), which raise RLIMIT_NOFILE's soft limit to
 * the hard one and put it back. The limit is the process's: between the two calls a fault's open()
 * could succeed as well, so keep what stands between them short, and enter only after EMFILE.
 *
 * Nested and concurrent use is counted; the limit that stood before the first enter comes back with
 * the last leave, unless somebody (prlimit) changed it meanwhile: then theirs stays.
 *
 * Thread:    MT-Safe. Not AS-Safe.
 */
#ifndef SICKBAY_COMMON_NOFILE_H
#define SICKBAY_COMMON_NOFILE_H

#include <sys/resource.h>

void nofile_headroom_enter(void);
void nofile_headroom_leave(void);
/* The soft limit as it stands without headroom; RLIM_INFINITY where there is none. */
rlim_t nofile_limit(void);

/*
 * The soft limit becomes the hard one, for good: for a program whose trade is descriptors. Returns 0
 * or -errno.
 */
int nofile_raise(void) __attribute__((warn_unused_result));

/*
 * Visits the numbers of all descriptors of this process, as /proc/self/fd has them, but for the one it
 * reads that with. Where there is none left to read it with, at the hard limit, it asks for number after
 * number. Returns 0 or -errno.
 */
int nofile_for_each(void (*visit)(int fd, void *context), void *context)
	__attribute__((warn_unused_result));

/* open(2) with O_CLOEXEC that tries again with headroom. Returns the descriptor or -errno. */
int nofile_open(const char *path, int flags) __attribute__((warn_unused_result));

#endif
