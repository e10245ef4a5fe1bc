/* /debug/pprof/profile: the CPU profile of the next seconds. */
#include "diag/cpu.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "debug/internal.h"
#include "debug/window.h"

/* Whether it is this session's profile that runs. */
struct session {
	bool is_running;
};

static int start(int64_t seconds, int64_t hz, void **result)
{
	struct session *session;
	int err = cpu_profile_start((int)hz);

	(void)seconds;
	if (err)
		return err;
	session = xmalloc(sizeof(*session));
	session->is_running = true;
	*result = session;
	return 0;
}

static int stop(void *data, struct strbuf *out)
{
	struct session *session = data;

	session->is_running = false;
	return cpu_profile_stop(out);
}

static void free_session(void *data)
{
	struct session *session = data;

	if (session->is_running)
		cpu_profile_drop();
	free(session);
}

void debug_profile(struct http_job *job)
{
	static const struct debug_window window = {
		.what = "CPU profile",
		.unsupported =
			"No CPU profile: this build has no gperftools; build it without SAN=1",
		.busy = "Could not enable CPU profiling: cpu profiling already in use; "
			"it ends by itself, or with the client that asked for it",
		.start = start,
		.stop = stop,
		.free_session = free_session,
	};
	int64_t seconds, hz;

	if (debug_param(job, "seconds", 30, 1, DEBUG_SECONDS_MAX, &seconds) &&
		debug_param(job, "hz", CPU_HZ_DEFAULT, CPU_HZ_MIN, CPU_HZ_MAX, &hz))
		debug_window_run(job, &window, seconds, hz);
}
