/*
 * pprof_routes: pprof's own pages of a capture, below the desk's address.
 *
 *     GET /pprof/NAME/PAGE         PAGE as in pprof: "flamegraph", "top", "source", "peek", "disasm",
 *                                  "download"; "": the graph
 *     GET /pprof/NAME..BASE/PAGE   the same, compared with BASE
 *
 * What pprof refuses is 422 and its words. Its pages are full of scripts of their own and of words of
 * whoever made the capture: the browser keeps them apart from the desk, as if from another site.
 *
 * Thread:    main thread only.
 */
#ifndef SICKBAY_DESK_PPROF_ROUTES_H
#define SICKBAY_DESK_PPROF_ROUTES_H

#include "http/http.h"

/* Before http_server_start(). POOL has PPROF_SESSIONS_MAX threads at most, and outlives the server. */
void pprof_routes_mount(struct http_server *server, struct http_pool *pool);

#endif
