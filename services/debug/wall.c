/* /debug/pprof/wall: sweeps over all threads until the window is over. */
#include "diag/wall.h"

#include "debug/internal.h"
#include "debug/window.h"

static int start(int64_t seconds, int64_t hz, void **session)
{
	struct wall_profile *wall;
	int err = wall_profile_start((int)hz, &wall);

	(void)seconds;
	if (!err)
		*session = wall;
	return err;
}

static int64_t due_ns(void *session)
{
	return wall_profile_due_ns(session);
}

static void turn(void *session)
{
	wall_profile_sweep(session);
}

static int stop(void *session, struct strbuf *out)
{
	return wall_profile_stop(session, out);
}

static void free_session(void *session)
{
	wall_profile_free(session);
}

void debug_wall(struct http_job *job)
{
	static const struct debug_window window = {
		.what = "wall profile",
		.start = start,
		.due_ns = due_ns,
		.turn = turn,
		.stop = stop,
		.free_session = free_session,
	};
	int64_t seconds, hz;

	if (debug_param(job, "seconds", 10, 1, DEBUG_SECONDS_MAX, &seconds) &&
		debug_param(job, "hz", WALL_HZ_DEFAULT, WALL_HZ_MIN, WALL_HZ_MAX, &hz))
		debug_window_run(job, &window, seconds, hz);
}
