/*
 * capture_desk: the desk's captures on a server of the test's own, and what its answers must say. The
 * patient is the test's.
 *
 * Everything fails the test where it cannot be had.
 */
#ifndef SICKBAY_TESTS_DESK_CAPTURE_DESK_H
#define SICKBAY_TESTS_DESK_CAPTURE_DESK_H

#include "events.h"

#include "desk/capture_taker.h"

/* POOL gets the one that its pages work on. How captures ended is told to the pages. */
struct http_server *capture_desk_start(const struct capture_store *store, const char *patient,
	const char *recorder, struct http_pool **pool);
void capture_desk_stop(struct http_server *server, struct http_pool *pool);

void expect_in(const char *text, const char *part);
void expect_post(const struct http_server *server, const char *target, const char *fields,
	int status, const char *part);

#endif
