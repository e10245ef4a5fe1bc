/*
 * pages: the desk's own pages and files.
 *
 *     /               the desk; /threads.html and /source.html beside it
 *     /labs/          the texts of the workshop
 *     /captures/      the captures themselves, read only
 *     /viewer/        the viewer of traces; /viewer/perfetto/ is the engine it stands on
 *     /assets/        what the pages share
 *     /ports          where the stack is found on the browser's machine, as JSON: {"8000": 20010, ...}. The
 *                     texts name the usual ports, those on the left.
 *
 * What lies there forbids the browser to fetch anything from elsewhere, in its errors too. A capture
 * is never shown as a page, whatever is in it.
 */
#ifndef SICKBAY_DESK_PAGES_H
#define SICKBAY_DESK_PAGES_H

#include "http/http.h"

/* Directories, but for the last; none needs to exist. */
struct pages_config {
	const char *captures;
	const char *www;    /* services/desk/www */
	const char *viewer; /* what docker/viewer.sh makes */
	const char *labs;   /* what docker/labs/render makes */
	const char *ports;  /* what /ports answers */
};

/* Before http_server_start(); CONFIG's strings must outlive the server. Main thread only. */
void pages_mount(struct http_server *server, const struct pages_config *config);
/* For other answers of the desk's: what all of its pages have. 4 of the job's 8 headers. */
void pages_add_headers(struct http_job *job);

#endif
