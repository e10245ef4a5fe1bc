/*
 * plane: the debug plane on a server of the test's own, at any free port of the loopback.
 *
 * plane_create() leaves the server to be started, so that routes can be added. What the program needs
 * before (debug_init()) is the caller's. Everything fails the test where it cannot be had.
 */
#ifndef SICKBAY_TESTS_PLANE_H
#define SICKBAY_TESTS_PLANE_H

#include "http/http.h"

#define PLANE_THREADS 2

/* POOL gets the pool that the plane works on, of PLANE_THREADS threads that observe. */
struct http_server *plane_create(struct http_pool **pool);
void plane_stop(struct http_server *server, struct http_pool *pool);

#endif
