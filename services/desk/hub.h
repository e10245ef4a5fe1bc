/*
 * hub: what every open page is told, as it happens: GET /events, server-sent events.
 *
 *     anybody --hub_publish()--> log, bounded --every 100 ms--> each page's stream
 *
 * Shape:     an event has a name and one line of JSON. Of the kept ones the last of each name is told
 *            to a page that comes anew, in the order in which the names were first published; passing
 *            ones are told to those that are there. All pages are told the same in the same order.
 * Errors:    a page that takes too little for HUB_STALL_MS, or falls behind the log, is cut off: the
 *            browser comes back and begins with what is kept. More than HUB_PAGES_MAX are refused
 *            with 503.
 * Thread:    hub_publish*() and hub_stop() are MT-Safe.
 * Source:    HTML Living Standard, 9.2 Server-sent events.
 */
#ifndef SICKBAY_DESK_HUB_H
#define SICKBAY_DESK_HUB_H

#include "common/strbuf.h"
#include "http/http.h"

#define HUB_PAGES_MAX 64
#define HUB_EVENTS_MAX 16 /* kept ones */
#define HUB_STALL_MS 5000

/* EVENT: a literal. JSON stays the caller's. */
void hub_publish(const char *event, const struct strbuf *json);
void hub_publish_passing(const char *event, const struct strbuf *json);

/* Before http_server_start(). STALL_MS: HUB_STALL_MS, but in tests. */
void hub_mount(struct http_server *server, unsigned stall_ms);
/* Ends the streams, so that a server that stops need not wait for them. */
void hub_stop(void);

#endif
