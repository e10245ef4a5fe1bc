/*
 * window: a profile of the next N seconds: it starts and stops on the debug pool, its waits are
 * timers on the event loop, so that no thread waits for the time to pass. Private to
 * services/debug.
 *
 *     start (pool) -> wait (loop) -+-> turn (pool) -> wait ...
 *                                  +-> stop (pool) -> response
 *
 * Shape:     start() makes a session; turn(), if there is one, works on it and is called again when
 *            it says; stop() ends it and appends the profile. free_session() follows in any case,
 *            and comes instead where the client leaves.
 * Errors:    start() and stop() return 0 or -errno: the answer is a 500; -ENOTSUP and
 *            -EBUSY of start() are answered with .unsupported and .busy.
 *            A full queue of the pool is a 503 at the start; later it is only waited for.
 * Thread:    of one session, never two calls at once; several sessions may be. free_session() runs
 *            on the pool, or where the pool's queue is full.
 */
#ifndef SICKBAY_DEBUG_WINDOW_H
#define SICKBAY_DEBUG_WINDOW_H

#include <stdint.h>

#include "common/strbuf.h"
#include "http/http.h"

struct debug_window {
	const char *what; /* "wall profile": the sentences are about it */
	const char *unsupported;
	const char *busy; /* of what there can be one at a time */
	int (*start)(int64_t seconds, int64_t hz, void **session);
	int64_t (*due_ns)(void *session); /* of the next turn, monotonic; NULL: there are none */
	void (*turn)(void *session);
	int (*stop)(void *session, struct strbuf *out);
	void (*free_session)(void *session);
};

/* From a handler: the job is taken care of. HZ is for start(). */
void debug_window_run(
	struct http_job *job, const struct debug_window *window, int64_t seconds, int64_t hz);

#endif
