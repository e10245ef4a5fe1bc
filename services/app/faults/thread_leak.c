/* Step 5: every request starts threads that wait for a signal that never comes. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/fault.h"
#include "trace/trace.h"

#define THREADS_PER_REQUEST 5
#define STACK_BYTES (256 * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t signal_came = PTHREAD_COND_INITIALIZER;
static bool has_signal;
static pthread_t *threads;
static size_t thread_count, thread_cap;
static unsigned next_number;

static void *wait_for_signal(void *arg)
{
	const bool *fixed = arg;
	char name[16];

	pthread_mutex_lock(&lock);
	snprintf(name, sizeof(name), "leaked-%u", next_number++);
	pthread_setname_np(pthread_self(), name);
	/* FAULT: nobody ever sends it. The fixed variant's threads have nothing to wait for. */
	while (!has_signal && !fixed)
		pthread_cond_wait(&signal_came, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Room comes before the thread: undo() must be able to join whatever was started. */
static int make_room(void)
{
	size_t cap = thread_cap ? 2 * thread_cap : 64;
	pthread_t *grown;

	if (thread_count < thread_cap)
		return 0;
	grown = reallocarray(threads, cap, sizeof(*threads));
	if (!grown)
		return -ENOMEM;
	threads = grown;
	thread_cap = cap;
	return 0;
}

static int start_threads(struct fault_call *call)
{
	bool fixed = fault_is_fixed(call);
	pthread_attr_t attr;
	int err = 0;

	TRACE_FUNCTION();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (int i = 0; i < THREADS_PER_REQUEST && !err; i++) {
		pthread_t thread;

		pthread_mutex_lock(&lock);
		err = make_room();
		if (!err)
			err = -pthread_create(
				&thread, &attr, wait_for_signal, fixed ? &fixed : NULL);
		if (!err && !fixed)
			threads[thread_count++] = thread;
		pthread_mutex_unlock(&lock);
		if (!err && fixed)
			pthread_join(thread, NULL);
	}
	pthread_attr_destroy(&attr);
	return err ? fault_fail(call, err, "start a thread") : 0;
}

static void undo(void)
{
	pthread_mutex_lock(&lock);
	has_signal = true;
	pthread_cond_broadcast(&signal_came);
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	threads = NULL;
	thread_count = thread_cap = next_number = 0;
	has_signal = false;
}

const struct fault fault_thread_leak = {
	.name = "thread leak",
	.does = "starts 5 threads that never end",
	.may_block = true,
	.serve = start_threads,
	.undo = undo,
};
