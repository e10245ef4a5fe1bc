/*
 * guard: whom the desk answers at all. It listens on this machine alone, but any page of any site that
 * a browser here has open can send requests to it, or give its own name this machine's address.
 *
 *     Host      must be one of the desk's own names, with any port: localhost, 127.0.0.1, [::1], and
 *               those that DESK_HOSTS adds; else 421. For /metrics and /healthz also "desk" and
 *               "health", as other services of the stack and the health check call it.
 *     POST      must come from a page of the desk's: Sec-Fetch-Site "same-origin" or, of a browser that
 *               does not send it, an Origin that is "http://" and the Host; else 403.
 *     GET       another site's page may lead here, but not have its parts come from here, for that is work
 *               too: Sec-Fetch-Site "cross-site" or "same-site" needs Sec-Fetch-Mode "navigate"; else 403.
 *               But for /favicon.ico.
 *
 * Thread:    guard_mount() before http_server_start(); guard_check() is MT-Safe.
 * Source:    Fetch Metadata Request Headers (W3C), sections 2.2 and 2.4.
 */
#ifndef SICKBAY_DESK_GUARD_H
#define SICKBAY_DESK_GUARD_H

#include "http/http.h"

/* HOSTS: names divided by commas or blanks, without ports, or "" for none; it must outlive the server. */
void guard_mount(struct http_server *server, const char *hosts);
/* The server's gate: every request comes by here, for files too. */
http_gate guard_check;

#endif
