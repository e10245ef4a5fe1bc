/* /debug/pprof/sched: what threads waited for a CPU between the window's two ends. */
#include "diag/sched.h"

#include "debug/internal.h"
#include "debug/window.h"

static int start(int64_t seconds, int64_t hz, void **session)
{
	struct sched_profile *sched;
	int err = sched_profile_start(&sched);

	(void)seconds;
	(void)hz;
	if (!err)
		*session = sched;
	return err;
}

static int stop(void *session, struct strbuf *out)
{
	return sched_profile_stop(session, out);
}

static void free_session(void *session)
{
	sched_profile_free(session);
}

void debug_sched(struct http_job *job)
{
	static const struct debug_window window = {
		.what = "scheduler latency profile",
		.unsupported = "No scheduler latency profile: this kernel does not measure how "
			       "long threads wait for a CPU (/proc/self/schedstat is missing or "
			       "all 0; CONFIG_SCHED_INFO)",
		.start = start,
		.stop = stop,
		.free_session = free_session,
	};
	int64_t seconds;

	if (debug_param(job, "seconds", 10, 1, DEBUG_SECONDS_MAX, &seconds))
		debug_window_run(job, &window, seconds, 0);
}
