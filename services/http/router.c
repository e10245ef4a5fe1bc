#include "http/internal.h"

#include <string.h>

#include "common/alloc.h"

struct match {
	const struct http_route
		*route;   /* NULL: nothing lists the method, or nothing has the path */
	unsigned allowed; /* methods of all routes for the path; 0: unknown path */
};

/* How many of the path's bytes ROUTE names, plus one for an exact match; 0: none. */
static size_t match_len(const struct http_route *route, h2o_iovec_t path)
{
	size_t len = strlen(route->path);

	if (len >= 2 && route->path[len - 1] == '*' && route->path[len - 2] == '/') {
		len--;
		return path.len >= len && !memcmp(path.base, route->path, len) ? len : 0;
	}
	return path.len == len && !memcmp(path.base, route->path, len) ? len + 1 : 0;
}

static unsigned methods_of(const struct http_route *route)
{
	return route->methods | (route->methods & HTTP_GET ? HTTP_HEAD : 0);
}

static struct match match_route(const struct http_server *server, h2o_iovec_t path, unsigned method)
{
	struct match match = {NULL, 0};
	size_t longest = 0;

	for (size_t i = 0; i < server->route_count; i++) {
		const struct http_route *route = &server->routes[i];
		size_t len = match_len(route, path);

		if (!len || len < longest)
			continue;
		if (len > longest)
			match = (struct match){NULL, 0};
		longest = len;
		match.allowed |= methods_of(route);
		if (!match.route && methods_of(route) & method)
			match.route = route;
	}
	return match;
}

static unsigned method_of(const h2o_req_t *req)
{
	if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET")))
		return HTTP_GET;
	if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD")))
		return HTTP_HEAD;
	if (h2o_memis(req->method.base, req->method.len, H2O_STRLIT("POST")))
		return HTTP_POST;
	return 0;
}

static const char *allow_header(unsigned methods)
{
	static const char *const texts[] = {
		[HTTP_HEAD] = "HEAD",
		[HTTP_GET | HTTP_HEAD] = "GET, HEAD",
		[HTTP_POST] = "POST",
		[HTTP_HEAD | HTTP_POST] = "HEAD, POST",
		[HTTP_GET | HTTP_HEAD | HTTP_POST] = "GET, HEAD, POST",
	};

	return texts[methods];
}

static bool refuse_malformed(h2o_req_t *req)
{
	size_t query_bytes = req->query_at == SIZE_MAX ? 0 : req->path.len - req->query_at - 1;

	if (query_bytes > HTTP_QUERY_MAX_BYTES || req->path_normalized.len > HTTP_PATH_MAX_BYTES) {
		http_response_refuse(req, 414, NULL, "The path or the query is too long.\n");
		return true;
	}
	if (req->entity.len > HTTP_BODY_MAX_BYTES) {
		http_response_refuse(req, 413, NULL, "The body is longer than 64 KiB.\n");
		return true;
	}
	/* "%00" would cut the path short; h2o answers "*" and "http://..." with "/". */
	if (memchr(req->path_normalized.base, '\0', req->path_normalized.len) ||
		req->path.base[0] != '/') {
		http_response_refuse(req, 400, NULL, "The path is malformed.\n");
		return true;
	}
	return false;
}

static const char *copy_header(h2o_req_t *req, const char *name)
{
	ssize_t at = h2o_find_header_by_str(&req->headers, name, strlen(name), SIZE_MAX);

	return at < 0 ? NULL
		      : h2o_strdup(&req->pool, req->headers.entries[at].value.base,
				req->headers.entries[at].value.len)
				.base;
}

static bool refuse_at_gate(const struct http_server *server, h2o_req_t *req)
{
	const char *sentence;
	struct http_caller caller;
	int status;

	if (!server->gate)
		return false;
	caller = (struct http_caller){
		.method = method_of(req),
		.path = h2o_strdup(&req->pool, req->path_normalized.base, req->path_normalized.len)
				.base,
		.host = h2o_strdup(&req->pool, req->input.authority.base, req->input.authority.len)
				.base,
		.origin = copy_header(req, "origin"),
		.fetch_site = copy_header(req, "sec-fetch-site"),
		.fetch_mode = copy_header(req, "sec-fetch-mode"),
	};
	status = server->gate(&caller, &sentence);
	if (status)
		http_response_refuse(req, status, NULL, sentence);
	return status != 0;
}

bool http_router_refuse_early(const struct http_server *server, h2o_req_t *req)
{
	return refuse_malformed(req) || refuse_at_gate(server, req);
}

bool http_router_knows(const struct http_server *server, h2o_iovec_t path)
{
	for (size_t i = 0; i < server->route_count; i++)
		if (match_len(&server->routes[i], path) == path.len + 1)
			return true;
	return false;
}

int http_router_serve(const struct http_server *server, h2o_req_t *req)
{
	unsigned method = method_of(req);
	struct match match;

	if (http_router_refuse_early(server, req))
		return 0;
	match = match_route(server, req->path_normalized, method);
	if (match.route)
		http_job_run(http_job_create(req, match.route, method), match.route->handler);
	else if (match.allowed)
		http_response_refuse(req, 405, allow_header(match.allowed),
			"This path does not take that method.\n");
	else
		http_response_refuse(req, 404, NULL, "There is nothing at this path.\n");
	return 0;
}

int http_router_on_request(h2o_handler_t *self, h2o_req_t *req)
{
	return http_router_serve(((struct http_router *)self)->server, req);
}
