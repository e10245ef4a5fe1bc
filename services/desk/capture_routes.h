/*
 * capture_routes: captures at the press of a button. All take fields of a form, and answer a refusal
 * with a sentence.
 *
 *     POST /capture/take     kind; seconds; name: 202 and {"id":1,"name":"..."}; what becomes of it is
 *                            told to every page (capture_news.h)
 *     POST /capture/cancel   id
 *     POST /capture/delete   name
 *     POST /capture/rename   name; to, the new label: all before what the name says (capture_name.h)
 *     GET  /capture/kinds    [{"kind":"cpu","does":"...","seconds":10,"needs_window":true},...]
 *                            those that can be taken now: "kernel" needs its recorder
 *
 * Thread:    main thread only.
 */
#ifndef SICKBAY_DESK_CAPTURE_ROUTES_H
#define SICKBAY_DESK_CAPTURE_ROUTES_H

#include "desk/capture_store.h"
#include "http/http.h"

/* Before http_server_start(). POOL, for what waits for the disk, and the store must outlive the server. */
void capture_routes_mount(
	struct http_server *server, struct http_pool *pool, const struct capture_store *store);

#endif
