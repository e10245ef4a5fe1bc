/*
 * Dumps at once, and beside all that may go on. Also for ThreadSanitizer (`make unit SAN=thread`), so
 * that threads wait in sem_wait only: there the sanitizer lets a signal through at once.
 */
#include "../support/dlopen_storm.h"
#include "../support/read_dump.h"
#include "../support/test.h"

#include <semaphore.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "probe/dump.h"
#include "probe/modules.h"
#include "probe/thread.h"

static sem_t go;
static atomic_bool stop;
static atomic_size_t birth_count;
static atomic_size_t answer_count, silent_count, lost_count;

static TEST_FRAME void wait_known(void)
{
	while (sem_wait(&go) != 0)
		;
}

#define KNOWN 8

static void start_known(pthread_t threads[KNOWN])
{
	char name[] = "known0";

	sem_init(&go, 0, 0);
	for (int i = 0; i < KNOWN; i++) {
		name[5] = (char)('0' + i);
		threads[i] = named_thread_start(name, wait_known);
		named_thread_await(name, "sem_wait");
	}
}

static void end_known(pthread_t threads[KNOWN])
{
	for (int i = 0; i < KNOWN; i++)
		sem_post(&go);
	for (int i = 0; i < KNOWN; i++)
		pthread_join(threads[i], NULL);
}

/* Every known thread once, and with its function where it answered. */
static void look_for_known(void)
{
	struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);
	char name[] = "known0";

	for (int i = 0; i < KNOWN; i++) {
		const struct probe_dumped *thread;

		name[5] = (char)('0' + i);
		thread = read_dump_named(&dump, name);
		if (!thread)
			atomic_fetch_add(&lost_count, 1);
		else if (thread->answer != PROBE_ANSWERED)
			atomic_fetch_add(&silent_count, 1);
		else if (!read_dump_has_frame(thread, "wait_known") || !thread->in_system_call)
			atomic_fetch_add(&lost_count, 1);
		else
			atomic_fetch_add(&answer_count, 1);
	}
	read_dump_free(&dump);
}

static void reset_counts(void)
{
	atomic_store(&answer_count, 0);
	atomic_store(&silent_count, 0);
	atomic_store(&lost_count, 0);
}

static void *ask_main(void *unused)
{
	for (int i = 0; i < 20; i++)
		look_for_known();
	return unused;
}

static void test_dumps_at_once(void **state)
{
	pthread_t known[KNOWN], askers[3];

	(void)state;
	reset_counts();
	start_known(known);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&askers[i], NULL, ask_main, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(askers[i], NULL);
	end_known(known);
	assert_int_equal(atomic_load(&answer_count), 3 * 20 * KNOWN);
}

static void *short_life(void *arg)
{
	return arg;
}

static void give_birth(void)
{
	while (!atomic_load(&stop)) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, short_life, NULL), 0);
		pthread_join(thread, NULL);
		atomic_fetch_add(&birth_count, 1);
	}
}

static void allocate(void)
{
	unsigned random = 1;

	while (!atomic_load(&stop)) {
		char *volatile blocks[16];

		for (int i = 0; i < 16; i++) {
			random = random * 1103515245 + 12345;
			blocks[i] = malloc(1 + (random >> 16));
			blocks[i][0] = 'x';
		}
		for (int i = 0; i < 16; i++)
			free(blocks[i]);
	}
}

static void test_dumps_beside_births_dlopen_and_malloc(void **state)
{
	int64_t end_ns = clock_monotonic_ns() + (test_is_stress() ? 12 : 1) * CLOCK_NS_PER_SEC;
	pthread_t known[KNOWN], busy[4];
	size_t dump_count = 0, dlopen_count;

	(void)state;
	reset_counts();
	start_known(known);
	atomic_store(&stop, false);
	dlopen_storm_start();
	for (int i = 0; i < 4; i++)
		busy[i] = named_thread_start("busy", i % 2 ? give_birth : allocate);
	for (; clock_monotonic_ns() < end_ns; dump_count++)
		look_for_known();
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(busy[i], NULL);
	dlopen_count = dlopen_storm_stop();
	end_known(known);
	print_message("%zu dumps beside %zu births and %zu dlopens; %zu answers, %zu silent\n",
		dump_count, atomic_load(&birth_count), dlopen_count, atomic_load(&answer_count),
		atomic_load(&silent_count));
	assert_int_equal(atomic_load(&lost_count), 0);
	assert_true(atomic_load(&answer_count) > 9 * atomic_load(&silent_count));
	assert_true(atomic_load(&birth_count) > 0 && dlopen_count > 0);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dumps_at_once),
		cmocka_unit_test(test_dumps_beside_births_dlopen_and_malloc),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
