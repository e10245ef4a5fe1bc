#include "debug/debug.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "debug/internal.h"
#include "diag/contention.h"
#include "diag/cpu.h"
#include "diag/heap.h"
#include "diag/stack_text.h"
#include "http/params.h"
#include "probe/capture.h"
#include "probe/fd.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "trace/session.h"

struct http_pool *debug_pool;
unsigned debug_port;

static const struct http_route routes[] = {
#define DEBUG_ROUTE(name, methods, handler, description) \
	{"/debug/pprof/" name, methods, handler, NULL},
#include "debug/routes.def"
#undef DEBUG_ROUTE
	{"/debug/pprof/", HTTP_GET, debug_pprof_index, NULL},
	{"/debug/pprof", HTTP_GET, debug_pprof_index, NULL},
	{"/debug/pprof/*", HTTP_GET | HTTP_POST, debug_unknown_profile, NULL},
	{"/debug/vars", HTTP_GET, debug_vars, NULL},
	{"/metrics", HTTP_GET, debug_metrics, NULL},
	{"/healthz", HTTP_GET, debug_healthz, NULL},
};

void debug_init(void)
{
	int err;

	probe_thread_init();
	/* First: what it blocks must be blocked in every thread there will be. */
	err = debug_signals_start();
	if (err)
		log_printf("no dumps by signal: %s", strerror(-err));
	err = modules_init();
	if (err)
		log_printf("no symbols: %s; profiles will show addresses only", strerror(-err));
	err = probe_births_start();
	if (err)
		log_printf("no creators of threads: %s", strerror(-err));
	err = probe_fd_start();
	if (err)
		log_printf("no fd and connections profiles: %s", strerror(-err));
	cpu_sampler_init();
	err = trace_init();
	if (err)
		log_printf("no traces: %s", strerror(-err));
	err = contention_init();
	if (err)
		log_printf("no block and mutex profiles: %s", strerror(-err));
	err = heap_sampler_start(HEAP_RATE_DEFAULT_BYTES);
	if (err == -ENOTSUP)
		log_puts("no heap profile: this build has no tcmalloc");
	else if (err)
		log_printf("no heap profile: %s", strerror(-err));
}

void debug_mount(struct http_server *server, struct http_pool *pool)
{
	debug_pool = pool;
	debug_port = http_server_port(server);
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
}

void debug_observe_thread(void)
{
	probe_thread_observe();
}

int debug_stack_text(struct strbuf *out)
{
	uintptr_t pcs[PROBE_STACK_MAX];
	size_t count = probe_stack_here(pcs, PROBE_STACK_MAX);
	const size_t own_count = 2; /* probe_stack_here and this function */

	if (count <= own_count)
		return -ENODATA;
	stack_text_frames(out, pcs + own_count, count - own_count);
	return 0;
}

void debug_submit(struct http_job *job, http_work *work)
{
	if (http_submit(job, debug_pool, work) != 0)
		http_reply_text(
			job, 503, "too many requests to /debug at once; try again in a moment");
}

bool debug_param(struct http_job *job, const char *key, int64_t default_value, int64_t min,
	int64_t max, int64_t *value)
{
	if (params_int(http_query(job), key, default_value, min, max, value) == 0)
		return true;
	http_reply_text(job, 400,
		"%s must be a whole number from %" PRId64 " to %" PRId64
		", for example ?%s=%" PRId64,
		key, min, max, key, default_value < min ? min : default_value);
	return false;
}

void debug_reply_error(struct http_job *job, const char *what, int err)
{
	if (err == -ENOTSUP)
		http_reply_text(
			job, 500, "%s: this build has no gperftools; build it without SAN=1", what);
	else
		http_reply_text(job, 500, "%s: %s", what, strerror(-err));
}

void debug_healthz(struct http_job *job)
{
	http_reply_text(job, 200, "ok");
}

void debug_unknown_profile(struct http_job *job)
{
	http_reply_text(job, 404, "Unknown profile; /debug/pprof/ lists those there are");
}
