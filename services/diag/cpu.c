#include "diag/cpu.h"

#include <errno.h>
#include <pthread.h>

#include "common/clock.h"
#include "common/log.h"
#include "diag/profile.h"
#include "probe/thread.h"

static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the struct below */
static struct {
	bool running;
	int64_t start_real_ns, start_ns;
	struct cpu_listener listener;
	struct profile *profile; /* the listener's, until it has left */
} session;

static void on_sample(const struct probe_stack *stack, void *context)
{
	int64_t sample_count = (int64_t)stack->tag;
	int64_t values[] = {sample_count, sample_count * (CLOCK_NS_PER_SEC / session.listener.hz)};

	profile_add_sample(context, stack->pcs, stack->pc_count, values, NULL, 0);
}

static int start_locked(int hz)
{
	int err;

	if (session.running)
		return -EBUSY;
	session.start_ns = clock_monotonic_ns();
	session.start_real_ns = clock_realtime_ns();
	session.profile = profile_create(&(struct profile_config){
		.values = {{"samples", "count"}, {"cpu", "nanoseconds"}},
		.value_count = 2,
		.period_type = {"cpu", "nanoseconds"},
		.period = CLOCK_NS_PER_SEC / hz,
	});
	session.listener = (struct cpu_listener){
		.hz = hz, .on_sample = on_sample, .context = session.profile};
	err = cpu_sampler_join(&session.listener);
	if (err) {
		profile_free(session.profile);
		return err;
	}
	session.running = true;
	return 0;
}

int cpu_profile_start(int hz)
{
	int err;

	if (hz < CPU_HZ_MIN || hz > CPU_HZ_MAX)
		return -EINVAL;
	probe_observe_begin();
	pthread_mutex_lock(&session_lock);
	err = start_locked(hz);
	pthread_mutex_unlock(&session_lock);
	probe_observe_end();
	return err;
}

static int encode_locked(struct strbuf *out, const char *complaint)
{
	profile_set_time(
		session.profile, session.start_real_ns, clock_monotonic_ns() - session.start_ns);
	profile_set_comment(session.profile, complaint);
	return profile_encode(session.profile, out);
}

static int stop_locked(struct strbuf *out)
{
	struct strbuf complaint = STRBUF_INIT;
	int err = 0;

	if (!session.running)
		return -EBUSY;
	cpu_sampler_complain(&complaint);
	cpu_sampler_leave(&session.listener);
	if (complaint.len_bytes > 0)
		log_printf("cpu profile: %s (ulimit -i is the limit of timers, shared by all "
			   "processes of this user)",
			complaint.data);
	if (out)
		err = encode_locked(out, complaint.data);
	strbuf_free(&complaint);
	profile_free(session.profile);
	session.running = false;
	return err;
}

/* OUT NULL: the samples are not wanted. */
static int stop(struct strbuf *out)
{
	int err;

	probe_observe_begin();
	pthread_mutex_lock(&session_lock);
	err = stop_locked(out);
	pthread_mutex_unlock(&session_lock);
	probe_observe_end();
	return err;
}

int cpu_profile_stop(struct strbuf *out)
{
	return stop(out);
}

void cpu_profile_drop(void)
{
	(void)stop(NULL);
}
