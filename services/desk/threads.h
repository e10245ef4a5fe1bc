/*
 * threads: the patient's dump of its threads, for the page that shows it (www/threads.html).
 *
 *     GET /patient/threads       the text of the patient's /debug/pprof/threads?debug=2
 *
 * Errors:    502 where the patient cannot be reached or does not answer well, 504 where it does not
 *            begin within THREADS_PATIENCE_MS, or is not done after as long; each with a sentence.
 */
#ifndef SICKBAY_DESK_THREADS_H
#define SICKBAY_DESK_THREADS_H

#include "http/http.h"

#define THREADS_PATIENCE_MS 2000

/*
 * Before http_server_start(). PATIENT: its base URL (client/client.h). The dump is fetched in POOL, a
 * thread for as long as it takes. Returns 0, or -EINVAL for a base URL that will not do.
 */
int threads_mount(struct http_server *server, struct http_pool *pool, const char *patient)
	__attribute__((warn_unused_result));
/* Before POOL stops: ends what is under way, for good. */
void threads_stop(void);

#endif
