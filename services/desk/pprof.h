/*
 * pprof: pprof's own web pages of a capture, or of the difference between two. Each is a process of
 * its own that listens on a port of the loopback; it is started by the first who asks, and stays for
 * the next.
 *
 * Shape:     there are at most PPROF_SESSIONS_MAX of them. One more ends the one that was asked for
 *            longest ago. A capture that was replaced since is a capture anew. None outlives the thread
 *            that started it, let alone the desk; the dot that it runs ends with it, but not with a
 *            desk that is killed (in a container that ends all).
 * Bounds:    a capture is whatever a learner wrote: pprof gets 4 GiB of address space, and
 *            writes no long file. Its port lets in whoever can reach this machine's loopback, under any
 *            name, and its Source view reads whatever file a capture names: outside of a container,
 *            with the rights of whoever runs the desk, show only captures that you trust.
 * Returns:   pprof_fetch() 0 and the page, or -errno and a sentence: -ENOENT, there is no such capture;
 *            -EINVAL, pprof refuses it; -ETIMEDOUT, it takes too long; -ECANCELED, the desk stops.
 * Ownership: the caller frees the page's body.
 * Thread:    pprof_init() before, pprof_stop() once; pprof_fetch() is MT-Safe, of PPROF_SESSIONS_MAX
 *            threads at once, and blocks.
 * Source:    the pages and their links are those of github.com/google/pprof/internal/driver/webui.go:
 *            below /ui/, and relative.
 */
#ifndef SICKBAY_DESK_PPROF_H
#define SICKBAY_DESK_PPROF_H

#include "common/strbuf.h"

#define PPROF_SESSIONS_MAX 4

struct pprof_config {
	const char *program;  /* looked up in PATH */
	const char *captures; /* a directory */
	const char *sources;  /* where the Source view finds what was compiled elsewhere */
};

struct pprof_error {
	char text[1024];
};

/* CONFIG's strings must outlive pprof_stop(). */
void pprof_init(const struct pprof_config *config);
/*
 * A page of the capture NAME, compared with BASE if that is not NULL. PATH is what follows /ui/:
 * "flamegraph?si=cpu". Appends to BODY.
 */
int pprof_fetch(const char *name, const char *base, const char *path, struct strbuf *body,
	struct pprof_error *error) __attribute__((warn_unused_result));
/* Ends all, and what waits for them. */
void pprof_stop(void);

#endif
