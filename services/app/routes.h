/* routes: what the files of the two pages share. Private to app. */
#ifndef SICKBAY_APP_ROUTES_H
#define SICKBAY_APP_ROUTES_H

#include "http/http.h"

http_handler hello_route, goto_route;

/* Set by handlers_mount(). */
extern struct http_pool *business_pool, *control_pool;

#endif
