#include "desk/pages.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/strbuf.h"
#include "desk/captures.h"

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
	{"/captures", NULL, capture_headers},
};

static const char *captures_directory;
static struct http_pool *page_pool;

static const char page_head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n<title>Sickbay</title>\n"
	"<link rel=\"icon\" href=\"/assets/sickbay.svg\">\n"
	"<link rel=\"stylesheet\" href=\"/assets/desk.css\">\n"
	"<header class=\"bar\"><a class=\"brand\" href=\"/\">Sickbay</a></header>\n"
	"<main>\n<h1>Captures</h1>\n";

static const char nothing_yet[] =
	"<p class=\"empty\">Nothing was captured yet. In the toolbox (<code>make shell</code>), "
	"type:</p>\n"
	"<pre>curl -o /captures/first.pftrace "
	"'http://localhost:6060/debug/pprof/trace?seconds=5'</pre>\n";

static const char page_tail[] =
	"</main>\n<script type=\"module\" src=\"/assets/desk.js\"></script>\n</html>\n";

static void add_size(struct strbuf *out, int64_t size_bytes)
{
	if (size_bytes < 1000)
		strbuf_printf(out, "%lld B", (long long)size_bytes);
	else if (size_bytes < 1000 * 1000)
		strbuf_printf(out, "%.1f kB", (double)size_bytes / 1e3);
	else
		strbuf_printf(out, "%.1f MB", (double)size_bytes / 1e6);
}

/* In UTC; the page's script turns it into the reader's time. */
static void add_time(struct strbuf *out, int64_t time_ns)
{
	time_t seconds = time_ns / CLOCK_NS_PER_SEC;
	char iso[32], shown[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(iso, sizeof(iso), "%Y-%m-%dT%H:%M:%SZ", &tm);
	strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M UTC", &tm);
	strbuf_printf(out, "<time datetime=\"%s\">%s</time>", iso, shown);
}

static void add_link(struct strbuf *out, const char *attributes, const char *before,
	const char *name, const char *text)
{
	strbuf_printf(out, "<a %shref=\"%s", attributes, before);
	strbuf_html_escape(out, name);
	strbuf_printf(out, "\">%s</a>", text);
}

static void add_capture(struct strbuf *out, const struct capture *capture)
{
	bool trace = capture_is_trace(capture);

	strbuf_puts(out, "<tr><td class=\"name\">");
	strbuf_html_escape(out, capture->name);
	strbuf_puts(out, "<td class=\"size\">");
	add_size(out, capture->size_bytes);
	strbuf_puts(out, "<td>");
	add_time(out, capture->modified_ns);
	strbuf_puts(out, "<td class=\"links\">");
	if (trace)
		add_link(out, "class=\"first\" ", "/viewer/?url=/captures/", capture->name,
			"open in the viewer");
	add_link(out, "download ", "/captures/", capture->name, "download");
	if (trace)
		add_link(out, "class=\"handover\" ", "/captures/", capture->name,
			"open in ui.perfetto.dev");
	strbuf_puts(out, "\n");
}

static void home_work(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;
	struct capture *captures;
	size_t count;
	int err = captures_list(captures_directory, &captures, &count);

	if (err) {
		http_reply_text(job, 500, "%s, where captures lie, cannot be read: %s.",
			captures_directory, strerror(-err));
		return;
	}
	strbuf_puts(&out, page_head);
	strbuf_puts(&out, count ? "<table>\n<tr><th>Name<th class=\"size\">Size<th>Captured<th>\n"
				: nothing_yet);
	for (size_t i = 0; i < count; i++)
		add_capture(&out, &captures[i]);
	strbuf_puts(&out, count ? "</table>\n" : "");
	strbuf_puts(&out, page_tail);
	free(captures);
	http_reply_strbuf(job, 200, "text/html; charset=utf-8", &out);
}

static void home(struct http_job *job)
{
	for (size_t i = 0; headers[i]; i += 2)
		http_header(job, headers[i], headers[i + 1]);
	if (http_submit(job, page_pool, home_work) != 0)
		http_reply_text(job, 503, "The desk has too many requests; try again.");
}

void pages_mount(
	struct http_server *server, struct http_pool *pool, const struct pages_config *config)
{
	static const struct http_route route = {"/", HTTP_GET, home, NULL};

	page_pool = pool;
	captures_directory = config->captures;
	snprintf(viewer_directory, sizeof(viewer_directory), "%s/viewer", config->www);
	snprintf(assets_directory, sizeof(assets_directory), "%s/assets", config->www);
	files[0].directory = config->viewer;
	files[3].directory = config->captures;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		http_server_add_files(server, &files[i]);
	http_server_add_routes(server, &route, 1);
}
