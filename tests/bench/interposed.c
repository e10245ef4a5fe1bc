/*
 * What our interposers add to an uncontended lock and unlock, to a system call that nobody listens to,
 * and to a descriptor that is opened and closed, with the list of descriptors on: all as the program
 * calls them, and libc's own, in turn. Prints a line a round, in nanoseconds: ours (lock and unlock,
 * close, open and close), then libc's.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/parse.h"
#include "probe/fd.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define PAIRS 10000000
#define CLOSES 2000000
#define OPENINGS 200000

typedef int mutex_fn(pthread_mutex_t *mutex);
typedef int close_fn(int fd);
typedef int open_fn(const char *path, int flags, ...);

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

/* Of no descriptor: the shortest way into the kernel and back. */
static double close_ns(close_fn *volatile close_one)
{
	close_fn *close_it = close_one;
	int64_t start_ns = clock_monotonic_ns();

	for (int i = 0; i < CLOSES; i++)
		close_it(-1);
	return (double)(clock_monotonic_ns() - start_ns) / CLOSES;
}

/* The dearest case: of all that can be opened, this costs the kernel least. */
static double opening_ns(open_fn *volatile open_one, close_fn *volatile close_one)
{
	open_fn *open_it = open_one;
	close_fn *close_it = close_one;
	int64_t start_ns = clock_monotonic_ns();

	for (int i = 0; i < OPENINGS; i++)
		close_it(open_it("/dev/null", O_RDONLY));
	return (double)(clock_monotonic_ns() - start_ns) / OPENINGS;
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
	close_fn *libc_close = (close_fn *)dlsym(RTLD_NEXT, "close");
	open_fn *libc_open = (open_fn *)dlsym(RTLD_NEXT, "open");
	int64_t rounds = 7;
	pthread_t other;

	if (argc > 1 && parse_int(argv[1], 1, 1000, &rounds) != 0)
		return 2;
	probe_thread_init();
	if (modules_init() != 0 || probe_fd_start() != 0)
		return 1;
	/* libc needs no atomic operations while there is one thread: no server is that lonely. */
	if (pthread_create(&other, NULL, wait_for_ever, NULL) != 0)
		return 1;
	for (int64_t i = 0; i < rounds + 1; i++) {
		double our_pair_ns = pair_ns(pthread_mutex_lock, pthread_mutex_unlock);
		double their_pair_ns = pair_ns(libc_lock, libc_unlock);
		double our_close_ns = close_ns(close);
		double their_close_ns = close_ns(libc_close);
		double our_opening_ns = opening_ns(open, close);
		double their_opening_ns = opening_ns(libc_open, libc_close);

		/* The first round warms up. */
		if (i > 0)
			printf("%.3f %.3f %.3f %.3f %.3f %.3f\n", our_pair_ns, our_close_ns,
				our_opening_ns, their_pair_ns, their_close_ns, their_opening_ns);
	}
	return 0;
}
