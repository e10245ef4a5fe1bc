#include "dlopen_storm.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>

#include "test.h"

static pthread_t threads[DLOPEN_STORM_THREADS];
static atomic_bool stop;

static void *storm_main(void *unused)
{
	uintptr_t count = 0;

	(void)unused;
	while (!atomic_load(&stop)) {
		void *handle = dlopen("libBrokenLocale.so.1", RTLD_NOW);

		assert_non_null(handle);
		dlclose(handle);
		count++;
	}
	return (void *)count;
}

void dlopen_storm_start(void)
{
	atomic_store(&stop, false);
	for (int i = 0; i < DLOPEN_STORM_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm_main, NULL), 0);
}

size_t dlopen_storm_stop(void)
{
	size_t total = 0;
	void *count;

	atomic_store(&stop, true);
	for (int i = 0; i < DLOPEN_STORM_THREADS; i++) {
		pthread_join(threads[i], &count);
		total += (uintptr_t)count;
	}
	return total;
}

pthread_t dlopen_storm_thread(int index)
{
	return threads[index];
}
