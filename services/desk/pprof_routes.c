#include "desk/pprof_routes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "desk/captures.h"
#include "desk/pprof.h"

#define ROOT "/pprof/"

/* Everything is in the page itself; "sandbox" without "allow-same-origin" keeps it from the desk. */
#define CONTENT_SECURITY_POLICY                                                         \
	"sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; "      \
	"script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static struct http_pool *pprof_pool;

/* What a path asks for. */
struct request {
	char name[CAPTURE_NAME_BYTES], base[CAPTURE_NAME_BYTES]; /* base "": none */
	const char *page;                                        /* in the path */
};

static bool is_page(const char *page)
{
	static const char *const pages[] = {
		"", "flamegraph", "top", "source", "peek", "disasm", "download"};

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(pages[i], page) == 0)
			return true;
	return false;
}

static int copy_name(char name[CAPTURE_NAME_BYTES], const char *text, const char *end)
{
	if (end - text >= CAPTURE_NAME_BYTES)
		return -EINVAL;
	memcpy(name, text, (size_t)(end - text));
	name[end - text] = '\0';
	return capture_name_is_plain(name) ? 0 : -EINVAL;
}

static int read_path(const char *path, struct request *request)
{
	const char *names = path + strlen(ROOT), *slash = strchr(names, '/');
	const char *dots = strstr(names, "..");

	request->base[0] = '\0';
	if (!slash || !is_page(slash + 1))
		return -EINVAL;
	request->page = slash + 1;
	if (!dots || dots > slash)
		return copy_name(request->name, names, slash);
	if (copy_name(request->base, dots + strlen(".."), slash) != 0)
		return -EINVAL;
	return copy_name(request->name, names, dots);
}

static int status_of(int err)
{
	switch (err) {
	case -ENOENT:
		return 404;
	case -EINVAL:
		return 422;
	case -ETIMEDOUT:
		return 504;
	default:
		return 502;
	}
}

static void work(struct http_job *job)
{
	struct strbuf target = STRBUF_INIT, body = STRBUF_INIT;
	struct pprof_error error;
	struct request request;
	bool is_download;
	int err;

	if (read_path(http_path(job), &request) != 0) {
		http_reply_text(job, 404,
			"There is no such page of pprof's: it is /pprof/, the name of a capture, "
			"and /flamegraph, /top, /source, /peek or / for the graph.");
		return;
	}
	strbuf_printf(&target, "%s?%s", request.page, http_query(job));
	err = pprof_fetch(
		request.name, *request.base ? request.base : NULL, target.data, &body, &error);
	strbuf_free(&target);
	if (err) {
		http_reply_text(job, status_of(err), "%s", error.text);
		strbuf_free(&body);
		return;
	}
	is_download = strcmp(request.page, "download") == 0;
	if (is_download)
		http_header(job, "content-disposition", "attachment; filename=profile.pb.gz");
	http_reply_strbuf(job, 200,
		is_download ? "application/octet-stream" : "text/html; charset=utf-8", &body);
}

static void show(struct http_job *job)
{
	http_header(job, "content-security-policy", CONTENT_SECURITY_POLICY);
	http_header(job, "x-content-type-options", "nosniff");
	http_header(job, "referrer-policy", "no-referrer");
	http_header(job, "cache-control", "no-cache");
	http_submit_or_refuse(job, pprof_pool, work);
}

/* pprof's pages name no icon, and the browser asks for this one. */
static void have_no_icon(struct http_job *job)
{
	http_reply(job, 204, "image/x-icon", "", 0);
}

void pprof_routes_mount(struct http_server *server, struct http_pool *pool)
{
	static const struct http_route routes[] = {
		{ROOT "*", HTTP_GET, show, NULL},
		{"/favicon.ico", HTTP_GET, have_no_icon, NULL},
	};

	pprof_pool = pool;
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
}
