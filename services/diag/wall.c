#include "diag/wall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "diag/creator.h"
#include "diag/profile.h"
#include "diag/thread_snapshot.h"
#include "probe/thread.h"

struct wall_profile {
	int hz;
	int64_t period_ns;
	int64_t start_real_ns, start_ns, due_ns;
	/* The last sweep that succeeded, and when it began: not counted yet. */
	struct thread_snapshot *standing;
	int64_t standing_ns;

	size_t sweep_count, failed_count;
	int failed_err;
	size_t sample_count, silent_count; /* of threads that did not answer */
	struct profile *profile;
};

/* ---- counting what was seen ---- */

static void count_thread(
	struct wall_profile *wall, const struct thread_view *view, int64_t duration_ns)
{
	const struct profile_label state = {.key = "state", .text = view->state};
	const int64_t values[] = {1, duration_ns};
	struct thread_stack stack = wall->standing->stacks[view->stack];

	if (stack.pc_count == 0) {
		stack = creator_stack(view->created_by, &view->created_by_pc);
		wall->silent_count++;
	}
	wall->sample_count++;
	profile_add_sample(wall->profile, stack.pcs, stack.pc_count, values, &state, 1);
}

/* What stood until UNTIL_NS is counted, and gone. */
static void count_standing(struct wall_profile *wall, int64_t until_ns)
{
	if (!wall->standing)
		return;
	for (size_t i = 0; i < wall->standing->thread_count; i++)
		count_thread(wall, &wall->standing->threads[i], until_ns - wall->standing_ns);
	thread_snapshot_free(wall->standing);
	wall->standing = NULL;
}

/* ---- sweeps ---- */

/* From the grid of the wanted rate as long as sweeps are cheap; else when they have paid off. */
static void plan_next(struct wall_profile *wall, int64_t begin_ns)
{
	int64_t now_ns = clock_monotonic_ns();
	int64_t paid_ns = begin_ns + WALL_PAUSE * (now_ns - begin_ns);

	wall->due_ns += wall->period_ns;
	if (wall->due_ns < paid_ns)
		wall->due_ns = paid_ns;
	/* Sweeps that were missed are not made up for. */
	if (wall->due_ns < now_ns)
		wall->due_ns = now_ns;
}

static int sweep(struct wall_profile *wall)
{
	int64_t begin_ns = clock_monotonic_ns();
	struct thread_snapshot *seen;
	int err = thread_snapshot_take(PROBE_DUMP_PROGRAM, &seen);

	if (err) {
		/* What stands, stands longer. */
		wall->failed_count++;
		wall->failed_err = err;
	} else {
		count_standing(wall, begin_ns);
		wall->standing = seen;
		wall->standing_ns = begin_ns;
		wall->sweep_count++;
	}
	plan_next(wall, begin_ns);
	return err;
}

static int start(int hz, struct wall_profile **result)
{
	struct wall_profile *wall = xcalloc(1, sizeof(*wall));
	int err;

	wall->hz = hz;
	wall->period_ns = CLOCK_NS_PER_SEC / hz;
	wall->profile = profile_create(&(struct profile_config){
		.values = {{"samples", "count"}, {"wall", "nanoseconds"}},
		.value_count = 2,
		.period_type = {"wall", "nanoseconds"},
		.period = wall->period_ns,
		.default_type = "wall",
	});
	wall->start_real_ns = clock_realtime_ns();
	wall->start_ns = wall->due_ns = clock_monotonic_ns();
	err = sweep(wall);
	if (err)
		wall_profile_free(wall);
	else
		*result = wall;
	return err;
}

int wall_profile_start(int hz, struct wall_profile **profile)
{
	int err;

	if (hz < WALL_HZ_MIN || hz > WALL_HZ_MAX)
		return -EINVAL;
	probe_observe_begin();
	err = start(hz, profile);
	probe_observe_end();
	return err;
}

int64_t wall_profile_due_ns(const struct wall_profile *wall)
{
	return wall->due_ns;
}

void wall_profile_sweep(struct wall_profile *wall)
{
	probe_observe_begin();
	(void)sweep(wall);
	probe_observe_end();
}

/* ---- the end ---- */

static int encode(struct wall_profile *wall, int64_t end_ns, struct strbuf *out)
{
	int64_t window_ns = end_ns - wall->start_ns;
	struct strbuf comment = STRBUF_INIT;
	char window[DURATION_FORMAT_BYTES];
	int err;

	strbuf_printf(&comment, "%zu sweeps in %s, %d a second were asked for", wall->sweep_count,
		duration_format(window, window_ns), wall->hz);
	if (wall->failed_count > 0)
		strbuf_printf(&comment, "; %zu more failed: %s", wall->failed_count,
			strerror(-wall->failed_err));
	if (wall->silent_count > 0)
		strbuf_printf(&comment,
			"; %zu of %zu samples are of threads that did not answer, and stand "
			"under the stacks that created them",
			wall->silent_count, wall->sample_count);
	profile_set_time(wall->profile, wall->start_real_ns, window_ns);
	profile_set_comment(wall->profile, comment.data);
	err = profile_encode(wall->profile, out);
	strbuf_free(&comment);
	return err;
}

int wall_profile_stop(struct wall_profile *wall, struct strbuf *out)
{
	int64_t end_ns = clock_monotonic_ns();
	int err;

	probe_observe_begin();
	count_standing(wall, end_ns);
	err = encode(wall, end_ns, out);
	probe_observe_end();
	return err;
}

void wall_profile_free(struct wall_profile *wall)
{
	if (!wall)
		return;
	probe_observe_begin();
	thread_snapshot_free(wall->standing);
	profile_free(wall->profile);
	free(wall);
	probe_observe_end();
}
