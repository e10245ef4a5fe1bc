#include "debug/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "debug/internal.h"

/* How long to wait for a place in the pool's queue. */
#define AGAIN_MS 100

struct capture {
	const struct debug_window *window;
	int64_t seconds, hz;
	int64_t end_ns;
	void *session;
};

static http_handler wait_for_turn;

/*
 * A job that ends with its session open has lost its client, and mostly ends on its event loop,
 * which must not wait for the session's locks: on the pool, if it can be.
 */
static void free_capture(void *data)
{
	struct capture *capture = data;
	void (*free_session)(void *session) = capture->window->free_session;

	if (capture->session && http_pool_call(debug_pool, free_session, capture->session) != 0)
		free_session(capture->session);
	free(capture);
}

static void stop_work(struct http_job *job)
{
	struct capture *capture = http_data(job);
	struct strbuf out = STRBUF_INIT;
	int err = capture->window->stop(capture->session, &out);

	if (err)
		http_reply_text(job, 500, "Could not write the %s: %s", capture->window->what,
			strerror(-err));
	else
		http_reply_strbuf(job, 200, DEBUG_PROFILE_TYPE, &out);
	strbuf_free(&out);
	capture->window->free_session(capture->session);
	capture->session = NULL;
}

static void turn_work(struct http_job *job)
{
	const struct capture *capture = http_data(job);

	capture->window->turn(capture->session);
	http_continue(job, wait_for_turn);
}

static void turn(struct http_job *job)
{
	const struct capture *capture = http_data(job);
	bool is_over = clock_monotonic_ns() >= capture->end_ns;

	if (http_submit(job, debug_pool, is_over ? stop_work : turn_work) != 0)
		http_after(job, AGAIN_MS, turn);
}

/* A turn that would come at the end, or later, is not worth its time any more. */
static void wait_for_turn(struct http_job *job)
{
	const struct capture *capture = http_data(job);
	int64_t until_ns = capture->end_ns, left_ns;

	if (capture->window->due_ns && capture->window->due_ns(capture->session) < until_ns)
		until_ns = capture->window->due_ns(capture->session);
	left_ns = until_ns - clock_monotonic_ns();
	if (left_ns < 0)
		left_ns = 0;
	http_after(job, (unsigned)((left_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS), turn);
}

static void start_work(struct http_job *job)
{
	struct capture *capture = http_data(job);
	int err = capture->window->start(capture->seconds, capture->hz, &capture->session);

	if (err == -ENOTSUP) {
		http_reply_text(job, 500, "%s", capture->window->unsupported);
	} else if (err == -EBUSY && capture->window->busy) {
		http_reply_text(job, 500, "%s", capture->window->busy);
	} else if (err) {
		http_reply_text(job, 500, "Could not start the %s: %s", capture->window->what,
			strerror(-err));
	} else {
		capture->end_ns = clock_monotonic_ns() + capture->seconds * CLOCK_NS_PER_SEC;
		http_continue(job, wait_for_turn);
	}
}

void debug_window_run(
	struct http_job *job, const struct debug_window *window, int64_t seconds, int64_t hz)
{
	struct capture *capture = xmalloc(sizeof(*capture));

	*capture = (struct capture){.window = window, .seconds = seconds, .hz = hz};
	http_set_data(job, capture, free_capture);
	debug_submit(job, start_work);
}
