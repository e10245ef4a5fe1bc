/*
 * debug: the debug plane for any server here: /debug/pprof/..., /debug/vars, /metrics and /healthz on
 * services/http.
 *
 *     int main(int argc, char **argv)
 *     {
 *             debug_init();                                   before any thread starts
 *             ...
 *             debug_mount(server, pool);                      a pool of its own, made with
 *                                                             .on_thread_start = debug_observe_thread
 *
 * It answers while the program is deadlocked, out of descriptors or full of threads, because
 * nothing of it runs on the program's own workers and nothing of it waits on a thread: waits are
 * timers on an event loop.
 *
 * Thread:    debug_init(), debug_mount() and debug_metrics_add() from the main thread; the others are
 *            MT-Safe, none is AS-Safe.
 */
#ifndef SICKBAY_DEBUG_DEBUG_H
#define SICKBAY_DEBUG_DEBUG_H

#include "common/metrics_text.h"
#include "common/strbuf.h"
#include "http/http.h"

/*
 * From then on the process answers to signals too:
 *     SIGUSR1   dumps all threads to stderr, as /debug/pprof/threads?debug=2 does
 *     SIGUSR2   takes a CPU profile of 30 s into a file in $TMPDIR, and logs its name
 *     SIGABRT   dumps all threads, then ends the process with a core; abort() too
 * The first two get blocked in the calling thread, and so in all that it starts.
 *
 * Opens probe's books, reads the symbols (some 50-100 ms) and starts the heap sampler. What cannot
 * be had (symbols, or a sampler without tcmalloc) is logged, and the plane works without it.
 */
void debug_init(void);
/* Both must outlive the routes. */
void debug_mount(struct http_server *server, struct http_pool *pool);
/*
 * COLLECTOR adds the program's own families to each answer of /metrics, after those that every program
 * has. It must be MT-Safe, several may be asking, and wait for nobody. At most eight.
 */
typedef void debug_collector(struct metrics_text *out);
void debug_metrics_add(debug_collector *collector);
/*
 * Leaves the calling thread out of profiles and gives it no timer: for the threads that do the
 * diagnosing.
 */
void debug_observe_thread(void);
/*
 * Appends the calling thread's stack, innermost frame first, as Go prints a panic:
 *     create_files
 *     	/src/.../fd_leak.c:41 +0x176
 * Its own frames are left out. Returns 0, or -ENODATA where the stack could not be walked.
 */
int debug_stack_text(struct strbuf *out);

#endif
