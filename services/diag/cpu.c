#include "diag/cpu.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

#include "common/clock.h"
#include "common/log.h"
#include "diag/gperftools.h"
#include "diag/profile.h"
#include "probe/capture.h"
#include "probe/thread.h"

/* At 100 Hz a core fills a slot every 10 ms; 512 slots are seconds of patience for the unwinder. */
#define RING_SLOTS 512

/*
 * Of a timer that overran for longer than this, something is wrong with the clock, not with the
 * thread.
 */
#define OVERRUN_MAX 1000

static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the struct below */
static struct {
	bool running;
	int hz;
	int64_t start_real_ns, start_ns;
	struct gperftools_token *token;
	/* The ring's thread adds samples; it is ours again once the ring is destroyed. */
	struct profile *profile;
	struct probe_ring *ring;
} session;

/* Guarded by the thread list's lock, under which timers come and go. */
static int timer_hz; /* 0: no profile runs */
static size_t timer_refused_count;
static int timer_refused_errno;

static void on_prof_sigsafe(int signal, siginfo_t *info, void *context, void *arg)
{
	int overrun_count = info->si_code == SI_TIMER ? info->si_overrun : 0;

	(void)signal;
	if (overrun_count < 0 || overrun_count > OVERRUN_MAX)
		overrun_count = 0;
	probe_ring_capture_sigsafe(arg, context, 1 + (uint64_t)overrun_count);
}

static void on_stack(const struct probe_stack *stack, void *context)
{
	int64_t sample_count = (int64_t)stack->tag;
	int64_t values[] = {sample_count, sample_count * (CLOCK_NS_PER_SEC / session.hz)};

	profile_add_sample(context, stack->pcs, stack->pc_count, values, NULL, 0);
}

/* In a new thread, or for a living one from the thread that starts the profile. */
static void arm_timer(struct probe_thread *thread)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
	struct itimerspec period = {0};
	clockid_t clock;

	if (timer_hz == 0 || thread->observer || thread->cpu_timer_armed)
		return;
	event._sigev_un._tid = thread->tid;
	period.it_interval.tv_sec = timer_hz == 1 ? 1 : 0;
	period.it_interval.tv_nsec = timer_hz == 1 ? 0 : CLOCK_NS_PER_SEC / timer_hz;
	period.it_value = period.it_interval;
	if (pthread_getcpuclockid(thread->pthread, &clock) == 0 &&
		timer_create(clock, &event, &thread->cpu_timer) == 0) {
		if (timer_settime(thread->cpu_timer, 0, &period, NULL) == 0) {
			thread->cpu_timer_armed = true;
			return;
		}
		timer_delete(thread->cpu_timer);
	}
	timer_refused_count++;
	timer_refused_errno = errno;
}

static void disarm_timer(struct probe_thread *thread)
{
	if (!thread->cpu_timer_armed)
		return;
	timer_delete(thread->cpu_timer);
	thread->cpu_timer_armed = false;
}

static void visit_start(struct probe_thread *thread, void *context)
{
	timer_hz = *(const int *)context;
	arm_timer(thread);
}

static void visit_stop(struct probe_thread *thread, void *context)
{
	(void)context;
	timer_hz = 0;
	disarm_timer(thread);
}

void cpu_profile_init(void)
{
	static const struct probe_thread_listener listener = {
		.on_start = arm_timer,
		.on_end = disarm_timer,
	};

	probe_thread_subscribe(&listener);
}

static void take_handler(struct probe_ring *ring)
{
	static const struct itimerval never;

	session.token = gperftools_register_callback(on_prof_sigsafe, ring);
	/*
	 * gperftools has now started a timer for the whole process, which bills whichever thread
	 * the kernel picks: ours, one per thread, take its place before its first 10 ms are over.
	 */
	setitimer(ITIMER_PROF, &never, NULL);
}

static int start_locked(int hz)
{
	int err;

	if (session.running)
		return -EBUSY;
	session.hz = hz;
	session.start_ns = clock_monotonic_ns();
	session.start_real_ns = clock_realtime_ns();
	session.profile = NULL;
	timer_refused_count = 0;
	session.profile = profile_create(&(struct profile_config){
		.values = {{"samples", "count"}, {"cpu", "nanoseconds"}},
		.value_count = 2,
		.period_type = {"cpu", "nanoseconds"},
		.period = CLOCK_NS_PER_SEC / hz,
	});
	err = probe_ring_create("cpu", RING_SLOTS, on_stack, session.profile, &session.ring);
	if (err) {
		profile_free(session.profile);
		return err;
	}
	take_handler(session.ring);
	probe_thread_for_each(visit_start, &hz);
	session.running = true;
	return 0;
}

int cpu_profile_start(int hz)
{
	int err;

	if (hz < CPU_HZ_MIN || hz > CPU_HZ_MAX)
		return -EINVAL;
	if (!gperftools_register_callback)
		return -ENOTSUP;
	probe_observe_begin();
	pthread_mutex_lock(&session_lock);
	err = start_locked(hz);
	pthread_mutex_unlock(&session_lock);
	probe_observe_end();
	return err;
}

static void report_refused(struct strbuf *comment)
{
	if (timer_refused_count == 0)
		return;
	strbuf_printf(comment, "%zu threads have no samples, no timer could be had for them: %s",
		timer_refused_count, strerror(timer_refused_errno));
	log_printf("cpu profile: %s (ulimit -i is the limit, shared by all processes of this user)",
		comment->data);
}

static int encode_locked(struct strbuf *out, uint64_t dropped_count)
{
	struct strbuf comment = STRBUF_INIT;
	int err;

	report_refused(&comment);
	if (dropped_count > 0)
		strbuf_printf(&comment, "%s%llu samples were dropped",
			comment.len_bytes ? "; " : "", (unsigned long long)dropped_count);
	profile_set_time(
		session.profile, session.start_real_ns, clock_monotonic_ns() - session.start_ns);
	profile_set_comment(session.profile, comment.data);
	err = profile_encode(session.profile, out);
	strbuf_free(&comment);
	return err;
}

static int stop_locked(struct strbuf *out)
{
	uint64_t dropped_count;
	int err = 0;

	if (!session.running)
		return -EBUSY;
	probe_thread_for_each(visit_stop, NULL);
	gperftools_unregister_callback(session.token);
	/* From here on no handler of ours runs: gperftools waited for the last one. */
	dropped_count = probe_ring_dropped_count(session.ring);
	probe_ring_destroy(session.ring);
	if (out)
		err = encode_locked(out, dropped_count);
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
