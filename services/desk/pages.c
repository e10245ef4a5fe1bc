#include "desk/pages.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"

#define PAGE_MAX_BYTES (64 * 1024)

/* The engine compiles WebAssembly and styles its elements one by one; nothing comes from elsewhere. */
#define CONTENT_SECURITY_POLICY                                                        \
	"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "                   \
	"style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* Files change with a new image or a new capture of the same name: the ETag tells. */
static const char *const headers[] = {"content-security-policy", CONTENT_SECURITY_POLICY,
	"x-content-type-options", "nosniff", "referrer-policy", "no-referrer", "cache-control",
	"no-cache", NULL};

/* A capture is whatever a learner wrote: data to fetch and to save, never a page of the desk's. */
static const char *const capture_headers[] = {"content-security-policy",
	"sandbox; default-src 'none'", "content-disposition", "attachment",
	"x-content-type-options", "nosniff", "referrer-policy", "no-referrer", "cache-control",
	"no-cache", NULL};

static char assets_directory[PATH_MAX], viewer_directory[PATH_MAX];
/* h2o takes the first path that fits. */
static struct http_files files[] = {
	{"/viewer/perfetto", NULL, headers},
	{"/viewer", viewer_directory, headers},
	{"/assets", assets_directory, headers},
	{"/labs", NULL, headers},
	{"/captures", NULL, capture_headers},
};

static const char *www_directory, *ports;

void pages_add_headers(struct http_job *job)
{
	for (size_t i = 0; headers[i]; i += 2)
		http_header(job, headers[i], headers[i + 1]);
}

/* Read on the loop, as other files are: it is small, and on a local disk. */
static void page(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;
	char path[PATH_MAX];
	int err;

	pages_add_headers(job);
	snprintf(path, sizeof(path), "%s/%s", www_directory, (const char *)http_context(job));
	err = strbuf_read_file(&out, path, PAGE_MAX_BYTES);
	if (err) {
		http_reply_text(job, 500, "%s cannot be read: %s. DESK_WWW says where it lies.",
			path, strerror(-err));
		strbuf_free(&out);
		return;
	}
	http_reply_strbuf(job, 200, "text/html; charset=utf-8", &out);
}

static void tell_ports(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;

	pages_add_headers(job);
	strbuf_puts(&out, ports);
	http_reply_strbuf(job, 200, "application/json", &out);
}

void pages_mount(struct http_server *server, const struct pages_config *config)
{
	static const struct http_route routes[] = {
		{"/", HTTP_GET, page, (void *)"index.html"},
		{"/threads.html", HTTP_GET, page, (void *)"threads.html"},
		{"/source.html", HTTP_GET, page, (void *)"source.html"},
		{"/ports", HTTP_GET, tell_ports, NULL},
	};

	www_directory = config->www;
	ports = config->ports;
	snprintf(viewer_directory, sizeof(viewer_directory), "%s/viewer", config->www);
	snprintf(assets_directory, sizeof(assets_directory), "%s/assets", config->www);
	files[0].directory = config->viewer;
	files[3].directory = config->labs;
	files[4].directory = config->captures;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		http_server_add_files(server, &files[i]);
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
}
