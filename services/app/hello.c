/* The page that everybody asks for: one request's business, with whatever fault is staged. */
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/call.h"
#include "app/metrics.h"
#include "app/routes.h"
#include "common/clock.h"
#include "common/log.h"
#include "debug/debug.h"
#include "trace/trace.h"

struct http_pool *business_pool;

static bool client_left(const void *context)
{
	return http_client_left(context);
}

/* The stack from the business function on: what reports the failure is not part of it. */
static const char *skip_reporters(const struct strbuf *stack)
{
	const char *at = strstr(stack->data, "fault_fail\n");

	for (int lines = 0; at && lines < 2; lines++) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? at : stack->data;
}

static void log_stack(void)
{
	struct strbuf text = STRBUF_INIT, stack = STRBUF_INIT;
	char name[16] = "";

	pthread_getname_np(pthread_self(), name, sizeof(name));
	strbuf_printf(&text, "thread %d \"%s\" [running]:\n", (int)gettid(), name);
	strbuf_puts(
		&text, debug_stack_text(&stack) == 0 ? skip_reporters(&stack) : "\t(no stack)\n");
	log_block(text.data, text.len_bytes);
	strbuf_free(&stack);
	strbuf_free(&text);
}

/* As a Go server logs a handler that panics. */
static void on_fail(const void *context, int err, const char *reason)
{
	char cause[64];

	snprintf(cause, sizeof(cause), "%s", strerror(-err));
	cause[0] = (char)tolower((unsigned char)cause[0]);
	log_printf("http: panic serving %s: %s: %s", http_peer(context), reason, cause);
	log_stack();
}

/* Written for every request: put together by hand, which is a good deal faster than printf. */
static void log_duration(int64_t duration_ns)
{
	char line[sizeof("Request processed in ") + DURATION_FORMAT_BYTES] =
		"Request processed in ";

	duration_format(line + strlen(line), duration_ns);
	log_puts(line);
}

/* Frames that a reader of a profile looks for: they stay functions of their own. */
static __attribute__((noinline)) int do_some_business_logic(struct fault_call *call)
{
	int err;

	TRACE_FUNCTION();
	err = call->turn.fault->serve(call);
	return err;
}

static enum metrics_outcome outcome_of(const struct http_job *job, int err)
{
	if (err)
		return METRICS_FAILED;
	return http_client_left(job) ? METRICS_LEFT : METRICS_OK;
}

static __attribute__((noinline)) void hello_world_handler(
	struct http_job *job, const struct step_turn *turn)
{
	struct fault_call call = {
		.turn = *turn, .client_left = client_left, .on_fail = on_fail, .context = job};
	int64_t begin_ns = clock_monotonic_ns(), duration_ns;
	int err;

	TRACE_FUNCTION();
	trace_number("step", turn->step);
	trace_async_number(http_mark(job), "step", turn->step);
	log_puts("Starting processing request...");
	err = do_some_business_logic(&call);
	step_end(turn);
	duration_ns = clock_monotonic_ns() - begin_ns;
	metrics_count_request(turn, outcome_of(job, err), duration_ns);
	if (err) {
		http_abort(job);
		return;
	}
	log_duration(duration_ns);
	http_reply(job, 200, "text/plain; charset=utf-8", "hello world\n", strlen("hello world\n"));
}

static void hello_work(struct http_job *job)
{
	struct step_turn turn;

	if (http_client_left(job)) {
		http_abort(job);
		return;
	}
	step_begin(&turn);
	hello_world_handler(job, &turn);
}

void hello_route(struct http_job *job)
{
	struct step_turn turn;

	step_begin(&turn);
	if (!turn.fault->may_block) {
		hello_world_handler(job, &turn);
		return;
	}
	/* Its turn begins when a worker takes it: until then it is in nobody's way. */
	step_end(&turn);
	if (http_submit(job, business_pool, hello_work) != 0)
		http_reply_text(job, 503,
			"all workers are busy and the queue is full; try again later, "
			"or make the patient well with /goto?step=0");
}
