/* /debug/vars: expvar's JSON. */
#include <string.h>

#include "debug/internal.h"
#include "debug/memstats.h"

static void add_cmdline(struct strbuf *out)
{
	struct strbuf cmdline = STRBUF_INIT;
	size_t at = 0;

	strbuf_puts(out, "[");
	if (process_cmdline(&cmdline) == 0) {
		while (at < cmdline.len_bytes) {
			size_t len_bytes = strnlen(cmdline.data + at, cmdline.len_bytes - at);

			strbuf_puts(out, at ? ", \"" : "\"");
			strbuf_json_escape(out, cmdline.data + at, len_bytes);
			strbuf_puts(out, "\"");
			at += len_bytes + 1;
		}
	}
	strbuf_puts(out, "]");
	strbuf_free(&cmdline);
}

static void vars_work(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;

	strbuf_puts(&out, "{\n\"cmdline\": ");
	add_cmdline(&out);
	strbuf_puts(&out, ",\n\"memstats\": ");
	memstats_json(&out);
	strbuf_printf(&out, ",\n\"threads\": %lld", (long long)process_thread_count());
	strbuf_printf(&out, ",\n\"fds\": %lld\n}\n", (long long)process_fd_count());
	http_reply_strbuf(job, 200, "application/json; charset=utf-8", &out);
	strbuf_free(&out);
}

void debug_vars(struct http_job *job)
{
	debug_submit(job, vars_work);
}
