#include "app/handlers.h"

#include "app/routes.h"

static const struct http_route routes[] = {
	{"/", HTTP_GET, hello_route, NULL},
	{"/goto", HTTP_GET | HTTP_POST, goto_route, NULL},
};

void handlers_mount(
	struct http_server *server, struct http_pool *business, struct http_pool *control)
{
	business_pool = business;
	control_pool = control;
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
}
