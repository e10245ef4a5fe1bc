/* Step 1: every request waits for a mutex that somebody locked and nobody will unlock. */
#include <pthread.h>
#include <semaphore.h>

#include "app/fault.h"
#include "trace/trace.h"

static pthread_mutex_t shared_state_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long shared_state; /* guarded by shared_state_lock */

static pthread_t holder;
static bool has_holder;
static sem_t is_locked, may_unlock;

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		; /* EINTR */
}

/* A mutex must be unlocked by the thread that locked it: so somebody has to stay. */
static void *forget_to_unlock(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "holder");
	pthread_mutex_lock(&shared_state_lock);
	sem_post(&is_locked);
	wait_for(&may_unlock); /* FAULT: with the lock held */
	pthread_mutex_unlock(&shared_state_lock);
	return NULL;
}

static int enter(bool fixed)
{
	int err;

	if (fixed)
		return 0;
	sem_init(&is_locked, 0, 0);
	sem_init(&may_unlock, 0, 0);
	err = pthread_create(&holder, NULL, forget_to_unlock, NULL);
	if (err)
		return -err;
	has_holder = true;
	wait_for(&is_locked);
	return 0;
}

static int update_shared_state(struct fault_call *call)
{
	TRACE_FUNCTION();
	(void)call;
	pthread_mutex_lock(&shared_state_lock);
	shared_state++;
	pthread_mutex_unlock(&shared_state_lock);
	return 0;
}

static void release(void)
{
	if (has_holder)
		sem_post(&may_unlock);
}

static void undo(void)
{
	if (!has_holder)
		return;
	pthread_join(holder, NULL);
	sem_destroy(&is_locked);
	sem_destroy(&may_unlock);
	has_holder = false;
}

const struct fault fault_mutex = {
	.name = "mutex",
	.does = "waits on a mutex that nobody releases",
	.may_block = true,
	.enter = enter,
	.serve = update_shared_state,
	.release = release,
	.undo = undo,
};
