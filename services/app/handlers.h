/*
 * handlers: the patient's two pages: / does the work, /goto changes the disease.
 *
 * / is answered on its event loop while the step's fault cannot block, and by the business pool
 * otherwise. /goto runs on the control pool, so that it works when every business worker is stuck.
 *
 * Thread:    handlers_mount() from the main thread.
 */
#ifndef SICKBAY_APP_HANDLERS_H
#define SICKBAY_APP_HANDLERS_H

#include "http/http.h"

/* The pools must outlive the server. */
void handlers_mount(
	struct http_server *server, struct http_pool *business, struct http_pool *control);

#endif
