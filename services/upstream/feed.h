/*
 * feed: what upstream serves: /events, a stream of server-sent events that has no end.
 *
 *     GET /events           data: {"id":1} at once, then nothing until the client leaves
 *     GET /events?limit=3   three events and the end; the connection is as good as before
 *     GET /                 one line on what this is
 *
 * Shape:     ids count up over all feeds, from 1.
 * Errors:    a limit that is no whole number from 1 to FEED_LIMIT_MAX is 400, one more feed than may
 *            be open is 503: each with one sentence as text/plain.
 * Thread:    feed_mount() from the main thread, before the server starts; the others are MT-Safe.
 * Source:    HTML Standard, 9.2 "Server-sent events".
 */
#ifndef SICKBAY_UPSTREAM_FEED_H
#define SICKBAY_UPSTREAM_FEED_H

#include <stdint.h>

#include "common/metrics_text.h"
#include "http/http.h"

#define FEED_LIMIT_MAX 100

/* Of all requests so far, also those that were refused. */
struct feed_counts {
	uint64_t request_count, event_count;
	unsigned open_count; /* feeds that have not ended */
};

void feed_mount(struct http_server *server, unsigned open_max);
struct feed_counts feed_counts(void);
/* For /metrics. */
void feed_collect(struct metrics_text *out);

#endif
