/*
 * events: a page that listens to the hub. Everything waits for at most CLIENT_WAIT_MS and then fails
 * the test.
 */
#ifndef SICKBAY_TESTS_DESK_EVENTS_H
#define SICKBAY_TESTS_DESK_EVENTS_H

#include "../http/client.h"

struct events {
	int fd;
	struct strbuf text; /* so far */
	size_t seen_bytes;  /* of that: what was awaited already */
};

/* Opens "/events". */
struct events events_open(const struct http_server *server);
/*
 * Returns what follows "event: NAME\ndata: " on its line, once one comes that has PART in it, after all
 * that was awaited before. It is valid until the next call.
 */
const char *events_await(struct events *events, const char *name, const char *part);
void events_close(struct events *events);

/* "POST TARGET" with FIELDS as its body, as a page of the desk sends it. */
struct client_response events_post(
	const struct http_server *server, const char *target, const char *fields);

#endif
