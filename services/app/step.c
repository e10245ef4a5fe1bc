#include "app/step.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "common/clock.h"

#define FAULT(symbol) extern const struct fault symbol;
#include "app/faults.def"
#undef FAULT

static const struct fault *const faults[] = {
#define FAULT(symbol) &symbol,
#include "app/faults.def"
#undef FAULT
};

#define NO_STEP (-1)

/* One switch at a time; also guards `leaving`. */
static pthread_mutex_t switch_lock = PTHREAD_MUTEX_INITIALIZER;
static int leaving = NO_STEP; /* a step that was released and not yet undone */

/*
 * Written under state_lock. Read without it to see whether the patient is well, which is the fast
 * way.
 */
static atomic_int current;

static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t drained = PTHREAD_COND_INITIALIZER;
static bool current_fixed;
static unsigned in_flight_count[STEP_COUNT];
static atomic_bool released[STEP_COUNT]; /* read without the lock */

const struct fault *step_fault(int step)
{
	return step >= 0 && step < STEP_COUNT ? faults[step] : NULL;
}

int step_current(bool *fixed)
{
	int step;

	pthread_mutex_lock(&state_lock);
	step = atomic_load(&current);
	*fixed = current_fixed;
	pthread_mutex_unlock(&state_lock);
	return step;
}

void step_begin(struct step_turn *turn)
{
	*turn = (struct step_turn){.step = 0, .fault = faults[0]};
	if (atomic_load_explicit(&current, memory_order_acquire) == 0)
		return; /* nothing to give back: not worth counting */
	pthread_mutex_lock(&state_lock);
	turn->step = atomic_load(&current);
	turn->fault = faults[turn->step];
	turn->fixed = current_fixed;
	if (turn->step != 0)
		in_flight_count[turn->step]++;
	pthread_mutex_unlock(&state_lock);
}

void step_end(const struct step_turn *turn)
{
	if (turn->step == 0)
		return;
	pthread_mutex_lock(&state_lock);
	if (--in_flight_count[turn->step] == 0)
		pthread_cond_broadcast(&drained);
	pthread_mutex_unlock(&state_lock);
}

bool step_released(const struct step_turn *turn)
{
	return atomic_load_explicit(&released[turn->step], memory_order_relaxed);
}

static void publish(int step, bool fixed)
{
	pthread_mutex_lock(&state_lock);
	atomic_store(&current, step);
	current_fixed = fixed;
	pthread_mutex_unlock(&state_lock);
}

static int wait_until_drained(int step)
{
	int64_t until_ns = clock_monotonic_ns() + STEP_DRAIN_MS * CLOCK_NS_PER_MS;
	struct timespec until = {until_ns / CLOCK_NS_PER_SEC, until_ns % CLOCK_NS_PER_SEC};
	int err = 0;

	pthread_mutex_lock(&state_lock);
	while (in_flight_count[step] > 0 && err == 0)
		err = pthread_cond_clockwait(&drained, &state_lock, CLOCK_MONOTONIC, &until);
	if (in_flight_count[step] == 0)
		err = 0;
	pthread_mutex_unlock(&state_lock);
	return -err;
}

static int leave_current(void)
{
	int err;

	if (leaving == NO_STEP) {
		leaving = atomic_load(&current);
		publish(0, false);
		atomic_store(&released[leaving], leaving != 0);
		if (faults[leaving]->release)
			faults[leaving]->release();
	}
	err = wait_until_drained(leaving);
	if (err)
		return err;
	if (faults[leaving]->undo)
		faults[leaving]->undo();
	atomic_store(&released[leaving], false);
	leaving = NO_STEP;
	return 0;
}

int step_switch(int step, bool fixed)
{
	int err;

	if (step < 0 || step >= STEP_COUNT)
		return -EINVAL;
	pthread_mutex_lock(&switch_lock);
	err = leave_current();
	if (!err && faults[step]->enter)
		err = faults[step]->enter(fixed);
	if (!err)
		publish(step, fixed);
	pthread_mutex_unlock(&switch_lock);
	return err;
}
