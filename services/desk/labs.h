/*
 * labs: answers to the labs, and the attendee's progress. Fields come as a form's body.
 *
 *     POST /labs/answer      lab=03-it-grows, or step=3, or pair=file; function=, resource=
 *                            {"right":true,"text":"..."}; where it is wrong, TEXT is always the same
 *     POST /labs/verified    lab= (or step= or pair=): 'make verify' has passed
 *     POST /labs/forget      no progress at all
 *     GET  /labs/progress    {"labs":{"03-it-grows":{"answered":true,"verified":false}, ...}}
 *
 * Every open page is told of progress by the kept event "progress", with the same JSON.
 *
 * Errors:    400: a field is missing; 404: no such lab; 500: progress cannot be kept, and why. An answer
 *            that is right says so in its TEXT, too.
 */
#ifndef SICKBAY_DESK_LABS_H
#define SICKBAY_DESK_LABS_H

#include "http/http.h"

struct labs_config {
	const char *answers;  /* directory of NN-NAME/answer; read now, none needs to be there */
	const char *progress; /* file */
};

/* Before http_server_start(), after pages_mount(); CONFIG's strings and POOL must outlive the server. */
void labs_mount(
	struct http_server *server, struct http_pool *pool, const struct labs_config *config);

#endif
