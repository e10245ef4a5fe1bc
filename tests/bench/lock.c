/*
 * What our interposers add to an uncontended lock and unlock: the pair as the program calls it, and
 * libc's own pair, in turn. Prints a line a round: the nanoseconds of both.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/parse.h"
#include "probe/thread.h"

#define PAIRS 10000000

typedef int mutex_fn(pthread_mutex_t *mutex);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Both sides are called through pointers that the compiler does not know. */
static double pair_ns(mutex_fn *volatile lock, mutex_fn *volatile unlock)
{
	mutex_fn *lock_it = lock, *unlock_it = unlock;
	int64_t start_ns = clock_monotonic_ns();

	for (int i = 0; i < PAIRS; i++) {
		lock_it(&mutex);
		unlock_it(&mutex);
	}
	return (double)(clock_monotonic_ns() - start_ns) / PAIRS;
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int main(int argc, char **argv)
{
	mutex_fn *libc_lock = (mutex_fn *)dlsym(RTLD_NEXT, "pthread_mutex_lock");
	mutex_fn *libc_unlock = (mutex_fn *)dlsym(RTLD_NEXT, "pthread_mutex_unlock");
	int64_t rounds = 7;
	pthread_t other;

	if (argc > 1 && parse_int(argv[1], 1, 1000, &rounds) != 0)
		return 2;
	probe_thread_init();
	/* libc needs no atomic operations while there is one thread: no server is that lonely. */
	if (pthread_create(&other, NULL, wait_for_ever, NULL) != 0)
		return 1;
	for (int64_t i = 0; i < rounds + 1; i++) {
		double ours = pair_ns(pthread_mutex_lock, pthread_mutex_unlock);
		double theirs = pair_ns(libc_lock, libc_unlock);

		/* The first round warms up. */
		if (i > 0)
			printf("%.3f %.3f\n", ours, theirs);
	}
	return 0;
}
