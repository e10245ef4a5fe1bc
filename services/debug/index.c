/* /debug/pprof/: the page that lists the profiles; and the two of them that are plain text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "debug/internal.h"
#include "diag/fd.h"
#include "diag/heap.h"
#include "probe/symbolize.h"
#include "probe/thread.h"

static const struct entry {
	const char *name, *description;
} entries[] = {
#define DEBUG_ROUTE(name, methods, handler, description) {name, description},
#include "debug/routes.def"
#undef DEBUG_ROUTE
};

static const char page_head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n<title>/debug/pprof/</title>\n"
	"<style>\n:root { color-scheme: light dark }\n"
	"body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; "
	"padding: 0 1rem }\n"
	"td, th { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0 }\n"
	"td:first-child, th:first-child { text-align: right }\n"
	"code { font-size: .95em }\n</style>\n"
	"<h1>/debug/pprof/</h1>\n<p>Profiles of this process, for any <code>pprof</code>:</p>\n"
	"<table>\n<tr><th>Count<th>Profile<th>\n";

static const char page_tail[] =
	"<p><a href=\"/debug/vars\">/debug/vars</a> has the numbers of memory, threads and "
	"descriptors as JSON, <a href=\"/metrics\">/metrics</a> for Prometheus.</p>\n</html>\n";

static int64_t fd_count(enum fd_scope scope)
{
	struct fd_snapshot *snapshot;
	int64_t count;

	if (fd_snapshot_take(scope, 0, &snapshot) != 0)
		return -1;
	count = (int64_t)snapshot->view_count;
	free(snapshot);
	return count;
}

/* How many stacks a profile has now; -1 where that is not known before it was taken. */
static int64_t count_of(const char *name, const struct heap_snapshot *snapshot)
{
	int64_t count = 0;

	if (strncmp(name, "thread", 6) == 0 || strncmp(name, "goroutine", 9) == 0)
		return (int64_t)probe_thread_count();
	if (strcmp(name, "fd") == 0)
		return fd_count(FD_ALL);
	if (strcmp(name, "connections") == 0)
		return fd_count(FD_CONNECTIONS);
	if (strcmp(name, "heap") != 0 && strcmp(name, "allocs") != 0)
		return -1;
	for (size_t i = 0; snapshot && i < snapshot->entry_count; i++)
		count += snapshot->entries[i]
				 .values[name[0] == 'h' ? HEAP_INUSE_OBJECTS : HEAP_ALLOC_OBJECTS] >
			 0.5;
	return count;
}

static void add_entry(
	struct strbuf *out, const struct entry *entry, const struct heap_snapshot *snapshot)
{
	int64_t count = count_of(entry->name, snapshot);

	strbuf_puts(out, "<tr><td>");
	if (count >= 0)
		strbuf_printf(out, "%lld", (long long)count);
	strbuf_printf(out, "<td><a href=\"/debug/pprof/%s%s\">%s</a><td>", entry->name,
		count >= 0 ? "?debug=1" : "", entry->name);
	strbuf_html_escape(out, entry->description);
	strbuf_puts(out, "\n");
}

static void index_work(struct http_job *job)
{
	struct heap_snapshot *snapshot = heap_snapshot();
	struct strbuf out = STRBUF_INIT;

	strbuf_puts(&out, page_head);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		add_entry(&out, &entries[i], snapshot);
	strbuf_printf(&out,
		"</table>\n<p>For example: <code>pprof -http=:9000 "
		"http://localhost:%u/debug/pprof/profile?seconds=10</code></p>\n",
		debug_port);
	free(snapshot);
	strbuf_puts(&out, page_tail);
	http_reply_strbuf(job, 200, "text/html; charset=utf-8", &out);
	strbuf_free(&out);
}

void debug_pprof_index(struct http_job *job)
{
	debug_submit(job, index_work);
}

static void cmdline_work(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;
	int err = process_cmdline(&out);

	if (err) {
		debug_reply_error(job, "Could not read the command line", err);
	} else {
		/* Arguments are separated, not ended, by NUL, as Go does it. */
		http_reply(
			job, 200, DEBUG_TEXT_TYPE, out.data, out.len_bytes ? out.len_bytes - 1 : 0);
	}
	strbuf_free(&out);
}

void debug_cmdline(struct http_job *job)
{
	debug_submit(job, cmdline_work);
}

static void add_symbol(struct strbuf *out, const char *word, uintptr_t pc)
{
	const struct probe_symbol *symbol = probe_symbolize_guest(pc);

	strbuf_printf(out, "%s\t", word);
	/* Outermost first, as pprof expects inlined calls. */
	for (size_t i = symbol->frame_count; i-- > 0;)
		strbuf_printf(out, "%s%s", symbol->frames[i].function, i ? "--" : "\n");
}

static void symbol_work(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT, words = STRBUF_INIT;
	size_t len_bytes;
	const char *body = http_body(job, &len_bytes);
	char *rest, *word;

	strbuf_add(&words, body, len_bytes);
	strbuf_puts(&words, "+");
	strbuf_puts(&words, len_bytes ? "" : http_query(job));
	if (len_bytes == 0 && http_query(job)[0] == '\0')
		strbuf_puts(&out, "num_symbols: 1\n"); /* "there are symbols": ask with POST */
	rest = words.data;
	while ((word = strsep(&rest, "+ \r\n"))) {
		char *end;
		uintptr_t pc = strtoull(word, &end, 16);

		if (end != word && *end == '\0')
			add_symbol(&out, word, pc);
	}
	http_reply_strbuf(job, 200, DEBUG_TEXT_TYPE, &out);
	strbuf_free(&out);
	strbuf_free(&words);
}

void debug_symbol(struct http_job *job)
{
	debug_submit(job, symbol_work);
}
