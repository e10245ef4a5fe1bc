/*
 * peer: an HTTP server on raw sockets for clients under test, in a process of its own: what is counted
 * here is the client's alone.
 *
 * Shape:     what it answers is in the path:
 *                /events          a chunk "data: {"id":N}\n\n" at once, and then nothing, for ever
 *                /events?limit=1  the same, and the end
 *                /connection      the number of the connection, counted from 1
 *                /bytes?N         N bytes, of which number I is I modulo 251
 *                /sent            how many of the last of those it could send so far
 *                /late            nothing
 *                /head            a head, and nothing of its body
 *                /empty           an empty body
 *                /cut             10 bytes of 100, and closes
 *                /garbage         no HTTP
 *                /last            "last", and closes, as it said
 *                /quits           "quits", and closes, without a word
 *                anything else    404
 */
#ifndef SICKBAY_TESTS_PEER_H
#define SICKBAY_TESTS_PEER_H

#include "child.h"

#define PEER_NAME "peer" /* argv[0] of its process */

struct peer {
	struct child child;
	char url[32]; /* "http://127.0.0.1:41234" */
};

/* What main() returns in its process. */
int peer_main(void);
struct peer peer_start(void);
void peer_stop(struct peer *peer);

#endif
