#include "diag/cpu_sampler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "common/clock.h"
#include "diag/gperftools.h"
#include "probe/thread.h"

/* At 100 Hz a core fills a slot every 10 ms; 512 slots are seconds of patience for the unwinder. */
#define RING_SLOTS 512

/*
 * Of a timer that overran for longer than this, something is wrong with the clock, not with the
 * thread.
 */
#define OVERRUN_MAX 1000

static pthread_mutex_t sampler_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the struct below */
static struct {
	int hz;
	struct gperftools_token *token;
	struct probe_ring *ring; /* NULL: nobody listens */
} sampler;

/* Under sampler_lock too where it changes, so that a listener may wait for locks of its own. */
static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cpu_listener *listeners;

/* Guarded by the thread list's lock, under which timers come and go. */
static int timer_hz; /* 0: nobody listens */
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
	(void)context;
	pthread_mutex_lock(&listeners_lock);
	for (struct cpu_listener *listener = listeners; listener; listener = listener->next)
		listener->on_sample(stack, listener->context);
	pthread_mutex_unlock(&listeners_lock);
}

/* ---- timers ---- */

/* In a new thread, or for a living one from the thread that starts the timers. */
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
	disarm_timer(thread);
	arm_timer(thread);
}

static void visit_stop(struct probe_thread *thread, void *context)
{
	(void)context;
	timer_hz = 0;
	disarm_timer(thread);
}

static void forget_refused(void *unused)
{
	(void)unused;
	timer_refused_count = 0;
}

static void start_timers(int hz)
{
	sampler.hz = hz;
	probe_thread_locked(forget_refused, NULL);
	probe_thread_for_each(visit_start, &hz);
}

void cpu_sampler_init(void)
{
	static const struct probe_thread_listener listener = {
		.on_start = arm_timer,
		.on_end = disarm_timer,
	};

	probe_thread_subscribe(&listener);
}

/* ---- listeners ---- */

static void take_handler(void)
{
	static const struct itimerval never;

	sampler.token = gperftools_register_callback(on_prof_sigsafe, sampler.ring);
	/*
	 * gperftools has now started a timer for the whole process, which bills whichever thread
	 * the kernel picks: ours, one per thread, take its place before its first 10 ms are over.
	 */
	setitimer(ITIMER_PROF, &never, NULL);
}

static bool somebody_chose_hz(void)
{
	for (const struct cpu_listener *listener = listeners; listener; listener = listener->next)
		if (listener->hz)
			return true;
	return false;
}

static void add_listener(struct cpu_listener *listener)
{
	pthread_mutex_lock(&listeners_lock);
	listener->next = listeners;
	listeners = listener;
	pthread_mutex_unlock(&listeners_lock);
}

static void remove_listener(const struct cpu_listener *listener)
{
	pthread_mutex_lock(&listeners_lock);
	for (struct cpu_listener **at = &listeners; *at; at = &(*at)->next)
		if (*at == listener) {
			*at = listener->next;
			break;
		}
	pthread_mutex_unlock(&listeners_lock);
}

static int join_locked(struct cpu_listener *listener)
{
	int hz = listener->hz ? listener->hz : CPU_HZ_DEFAULT;
	int err;

	if (!sampler.ring) {
		err = probe_ring_create("cpu", RING_SLOTS, on_stack, NULL, &sampler.ring);
		if (err)
			return err;
		add_listener(listener);
		take_handler();
		start_timers(hz);
		return 0;
	}
	if (listener->hz && listener->hz != sampler.hz) {
		if (somebody_chose_hz())
			return -EBUSY;
		start_timers(hz);
	}
	add_listener(listener);
	return 0;
}

int cpu_sampler_join(struct cpu_listener *listener)
{
	int err;

	if (listener->hz && (listener->hz < CPU_HZ_MIN || listener->hz > CPU_HZ_MAX))
		return -EINVAL;
	if (!gperftools_register_callback)
		return -ENOTSUP;
	probe_observe_begin();
	pthread_mutex_lock(&sampler_lock);
	err = join_locked(listener);
	pthread_mutex_unlock(&sampler_lock);
	probe_observe_end();
	return err;
}

static void leave_locked(const struct cpu_listener *listener)
{
	struct probe_ring *ring = sampler.ring;

	if (listeners != listener || listener->next) {
		probe_ring_flush(ring);
		remove_listener(listener);
		return;
	}
	probe_thread_for_each(visit_stop, NULL);
	gperftools_unregister_callback(sampler.token);
	/* From here on no handler of ours runs: gperftools waited for the last one. */
	sampler.ring = NULL;
	probe_ring_destroy(ring);
	remove_listener(listener);
}

void cpu_sampler_leave(struct cpu_listener *listener)
{
	probe_observe_begin();
	pthread_mutex_lock(&sampler_lock);
	leave_locked(listener);
	pthread_mutex_unlock(&sampler_lock);
	probe_observe_end();
}

static void complain_of_timers(void *context)
{
	struct strbuf *out = context;

	if (timer_refused_count > 0)
		strbuf_printf(out,
			"%zu threads have no samples, no timer could be had for them: %s",
			timer_refused_count, strerror(timer_refused_errno));
}

void cpu_sampler_complain(struct strbuf *out)
{
	uint64_t dropped_count;

	pthread_mutex_lock(&sampler_lock);
	probe_thread_locked(complain_of_timers, out);
	dropped_count = sampler.ring ? probe_ring_dropped_count(sampler.ring) : 0;
	if (dropped_count > 0)
		strbuf_printf(out, "%s%llu samples were dropped", out->len_bytes ? "; " : "",
			(unsigned long long)dropped_count);
	pthread_mutex_unlock(&sampler_lock);
}
