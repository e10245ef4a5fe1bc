/* /debug/pprof/profile: start (pool), wait (a timer on the loop), stop and encode (pool). */
#include <errno.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "debug/internal.h"
#include "diag/cpu.h"

struct capture {
	int64_t seconds, hz;
	bool running;
};

static void drop(void *unused)
{
	(void)unused;
	cpu_profile_drop();
}

/*
 * A job that ends while its profile runs has lost its client: the profile ends with it. On the pool
 * if it can: the job mostly ends on its event loop, which must not wait for the profiler's locks
 * and the unwinder. Until it is dropped it is the one profile that runs: no other can be meant.
 */
static void free_capture(void *data)
{
	struct capture *capture = data;

	if (capture->running && http_pool_call(debug_pool, drop, NULL) != 0)
		drop(NULL);
	free(capture);
}

static void stop_work(struct http_job *job)
{
	struct capture *capture = http_data(job);
	struct strbuf out = STRBUF_INIT;
	int err;

	capture->running = false;
	err = cpu_profile_stop(&out);
	if (err)
		debug_reply_error(job, "Could not write the CPU profile", err);
	else
		http_reply_strbuf(job, 200, DEBUG_PROFILE_TYPE, &out);
	strbuf_free(&out);
}

static void stop(struct http_job *job)
{
	debug_submit(job, stop_work);
}

static void wait_for_samples(struct http_job *job)
{
	const struct capture *capture = http_data(job);

	http_after(job, (unsigned)capture->seconds * 1000, stop);
}

static void start_work(struct http_job *job)
{
	struct capture *capture = http_data(job);
	int err = cpu_profile_start((int)capture->hz);

	if (err == -EBUSY) {
		http_reply_text(job, 500,
			"Could not enable CPU profiling: cpu profiling already in use; "
			"it ends by itself, or with the client that asked for it");
	} else if (err) {
		debug_reply_error(job, "Could not enable CPU profiling", err);
	} else {
		capture->running = true;
		http_continue(job, wait_for_samples);
	}
}

void debug_profile(struct http_job *job)
{
	struct capture wanted = {0}, *capture;

	if (!debug_param(job, "seconds", 30, 1, DEBUG_SECONDS_MAX, &wanted.seconds) ||
		!debug_param(job, "hz", CPU_HZ_DEFAULT, CPU_HZ_MIN, CPU_HZ_MAX, &wanted.hz))
		return;
	capture = xmalloc(sizeof(*capture));
	*capture = wanted;
	http_set_data(job, capture, free_capture);
	debug_submit(job, start_work);
}
