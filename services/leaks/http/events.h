/*
 * events: the first event of upstream's list, 25 times a second, by services/client.
 *
 * What http-leak and http-fixed differ in is in leak.c and fixed.c, side by side.
 */
#ifndef SICKBAY_LEAKS_HTTP_EVENTS_H
#define SICKBAY_LEAKS_HTTP_EVENTS_H

#include "client/client.h"
#include "leaks/pair.h"

extern const struct pair event_pair;

/* ---- leak.c or fixed.c ---- */

extern const struct pair_variant event_variant;
/* Asks upstream for an event. Returns 0 or -errno; what went wrong with a request is in ERROR. */
int fetch_event(struct client *client, struct pair_counts *counts, struct client_error *error);

/* ---- events.c ---- */

/* For a response whose status is not 200: closes it, and says so in ERROR. Returns -EPROTO. */
int close_refusal(struct client_response *response, struct client_error *error);

#endif
