/* internal: what the files of the debug plane share. Private to services/debug. */
#ifndef SICKBAY_DEBUG_INTERNAL_H
#define SICKBAY_DEBUG_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "http/http.h"

#define DEBUG_SECONDS_MAX 300
#define DEBUG_PROFILE_TYPE "application/octet-stream"
#define DEBUG_TEXT_TYPE "text/plain; charset=utf-8"

#define DEBUG_ROUTE(name, methods, handler, description) http_handler handler;
#include "debug/routes.def"
#undef DEBUG_ROUTE
http_handler debug_pprof_index, debug_unknown_profile, debug_vars, debug_metrics, debug_healthz;

/* Set by debug_mount(): the debug pool, and the port the server listens on. */
extern struct http_pool *debug_pool;
extern unsigned debug_port;

/*
 * signals.c. From now on SIGUSR1, SIGUSR2 and SIGABRT do what debug.h says. Before other threads
 * start, which inherit what is blocked. Returns 0 or -errno.
 */
int debug_signals_start(void) __attribute__((warn_unused_result));
extern unsigned debug_signal_profile_seconds; /* of SIGUSR2; for tests to shorten */

/* Submits WORK to the debug pool, or answers 503. */
void debug_submit(struct http_job *job, http_work *work);
/*
 * Reads a whole-number parameter of the query. Returns true, or answers 400 with a sentence that
 * names the parameter, its bounds and an example, and returns false.
 */
bool debug_param(struct http_job *job, const char *key, int64_t default_value, int64_t min,
	int64_t max, int64_t *value);
/* Answers for a failed diag call: 500 with a sentence. */
void debug_reply_error(struct http_job *job, const char *what, int err);

/*
 * Numbers of the process, read from /proc with headroom above the descriptor limit; -1 if it cannot
 * be read.
 */
struct process_memory {
	int64_t virtual_bytes, resident_bytes;
};

int64_t process_thread_count(void);
int64_t process_fd_count(void);
struct process_memory process_memory(void);
double process_start_time_s(void); /* since the epoch; always the same */
double process_cpu_s(void);

/* Microseconds a descriptor: not for what is asked often. Returns 0 or -errno. */
struct process_fds {
	int64_t open_count;
	int64_t file_count;   /* regular files */
	int64_t client_count; /* TCP sockets that were connected, by probe's list */
};
int process_fds(struct process_fds *fds) __attribute__((warn_unused_result));
/* The command line's arguments, each ended by a NUL. */
int process_cmdline(struct strbuf *out);

#endif
