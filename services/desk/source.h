/*
 * source: the patient's sources, for people who came from a stack to a line.
 *
 *     GET /source?file=services/app/faults/mutex.c       the whole file, as text
 *
 * Shape:     FILE is a path below services/ of the directory it was mounted with. It has letters, digits,
 *            "_", "-", "." and "/", and no part of it begins with ".".
 * Errors:    400 for another name, 404 where there is no such file.
 */
#ifndef SICKBAY_DESK_SOURCE_H
#define SICKBAY_DESK_SOURCE_H

#include <stdbool.h>

#include "http/http.h"

#define SOURCE_NAME_BYTES 256

/* Whether FILE may be asked for; it need not be there. MT-Safe. */
bool source_is_name(const char *file);
/* Before http_server_start(). DIRECTORY holds services/; it and POOL must outlive the server. */
void source_mount(struct http_server *server, struct http_pool *pool, const char *directory);

#endif
