/* What became of the threads from one snapshot to the next, in every view. */
#include "../support/read_dump.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "diag/threads.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define OLD_COUNT 3
#define NEW_COUNT 5

/* ---- threads that wait until they are let go ---- */

struct crowd {
	pthread_t threads[NEW_COUNT];
	int count;
	sem_t came, may_go;
};

static struct crowd old, new;

/* Each crowd in a function of its own, by which it is told apart. */
static TEST_FRAME void wait_as_old(void)
{
	sem_post(&old.came);
	sem_wait(&old.may_go);
}

static TEST_FRAME void wait_as_new(void)
{
	sem_post(&new.came);
	sem_wait(&new.may_go);
}

static TEST_FRAME void start(struct crowd *crowd, int count, void (*body)(void))
{
	crowd->count = count;
	sem_init(&crowd->came, 0, 0);
	sem_init(&crowd->may_go, 0, 0);
	for (int i = 0; i < count; i++)
		crowd->threads[i] = named_thread_start("crowd", body);
	for (int i = 0; i < count; i++)
		sem_wait(&crowd->came);
}

static TEST_FRAME void start_new(void)
{
	start(&new, NEW_COUNT, wait_as_new);
}

/* Nothing to do where they were stopped, or never started. */
static void stop(struct crowd *crowd)
{
	for (int i = 0; i < crowd->count; i++)
		sem_post(&crowd->may_go);
	for (int i = 0; i < crowd->count; i++)
		pthread_join(crowd->threads[i], NULL);
	crowd->count = 0;
}

static void stop_new(void)
{
	stop(&new);
}

static void start_and_stop_new(void)
{
	start_new();
	stop_new();
}

static void do_nothing(void)
{
}

/* ---- what is seen of WORK ---- */

static struct thread_snapshot *before, *after;

/* After what a thread does between its last words and its wait. */
static void await_waits(void)
{
	struct read_dump dump;
	bool all_wait;

	do {
		all_wait = true;
		dump = read_dump_take(PROBE_DUMP_ALL);
		for (size_t i = 0; i < dump.count; i++)
			all_wait &= dump.threads[i].wait.call || dump.threads[i].tid == gettid();
		read_dump_free(&dump);
	} while (!all_wait);
}

/* Both are taken from one place, where the caller is seen to stand still. */
static TEST_FRAME void take_around(void (*work)(void))
{
	struct thread_snapshot **const snapshots[] = {&before, &after};

	for (volatile int i = 0; i < 2; i++) {
		if (i == 1)
			work();
		await_waits();
		assert_int_equal(thread_snapshot_take(PROBE_DUMP_PROGRAM, snapshots[i]), 0);
	}
}

static int forget(void **state)
{
	(void)state;
	stop_new();
	thread_snapshot_free(before);
	thread_snapshot_free(after);
	before = after = NULL;
	return 0;
}

static size_t occurrences(const char *text, const char *part)
{
	size_t count = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		count++;
	return count;
}

typedef void print_view(
	const struct thread_snapshot *from, const struct thread_snapshot *to, struct strbuf *out);

/* How often PART comes in what VIEW prints, which begins with BEGIN. */
static void assert_printed(print_view *view, const char *begin, const char *part, size_t count)
{
	struct strbuf text = STRBUF_INIT;

	view(before, after, &text);
	strbuf_puts(&text, "");
	if (strncmp(text.data, begin, strlen(begin)) != 0 || occurrences(text.data, part) != count)
		fail_msg("not \"%s\", or not %zu times \"%s\":\n%s", begin, count, part, text.data);
	strbuf_free(&text);
}

typedef int encode_view(
	const struct thread_snapshot *from, const struct thread_snapshot *to, struct strbuf *out);

/* In the binary profile: all of it, and of that what has FUNCTION in its stack. */
static void assert_encoded(encode_view *view, const char *function, int64_t count)
{
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(view(before, after, &out), 0);
	profile = read_profile_open(&out);
	assert_int_equal(read_profile_total(profile, 0), count);
	assert_int_equal(read_profile_cumulative(profile, 0, function), count);
	assert_int_equal(read_profile_cumulative(profile, 0, "wait_as_old"), 0);
	read_profile_close(profile);
	strbuf_free(&out);
}

/* ---- tests ---- */

static void test_only_the_new_ones_show(void **state)
{
	(void)state;
	take_around(start_new);
	assert_printed(threads_print_groups, "thread profile: total 5\n5 @ 0x", " @ ", 1);
	assert_printed(threads_print_groups, "", "\twait_as_new+0x", 1);
	assert_encoded(threads_encode, "wait_as_new", 5);
	assert_printed(threads_print_creators, "threadcreate profile: total 5\n5 @ 0x", " @ ", 1);
	assert_printed(threads_print_creators, "", "\tstart_new+0x", 1);
	assert_encoded(threads_encode_creators, "start_new", 5);
	assert_printed(threads_print_each, "thread ", " \"crowd\" [", 5);
	assert_printed(threads_print_each, "thread ", "\nwait_as_new\n", 5);
	assert_printed(threads_print_each, "thread ", "\nwait_as_old\n", 0);
}

static void test_what_ended_is_less(void **state)
{
	(void)state;
	start_new();
	take_around(stop_new);
	assert_printed(threads_print_groups, "thread profile: total -5\n-5 @ 0x", " @ ", 1);
	assert_encoded(threads_encode, "wait_as_new", -5);
	assert_printed(threads_print_creators, "threadcreate profile: total -5\n-5 @ 0x", " @ ", 1);
	assert_encoded(threads_encode_creators, "start_new", -5);
	assert_printed(threads_print_each, "", "thread ", 0);
}

static void test_who_comes_and_goes_is_not_seen(void **state)
{
	(void)state;
	take_around(start_and_stop_new);
	assert_printed(threads_print_groups, "thread profile: total 0\n", " @ ", 0);
	assert_encoded(threads_encode, "wait_as_new", 0);
	assert_printed(threads_print_each, "", "thread ", 0);
}

static void test_who_stays_is_not_seen(void **state)
{
	(void)state;
	take_around(do_nothing);
	assert_printed(threads_print_groups, "thread profile: total 0\n", " @ ", 0);
	assert_encoded(threads_encode, "wait_as_old", 0);
	assert_printed(threads_print_creators, "threadcreate profile: total 0\n", " @ ", 0);
	assert_printed(threads_print_each, "", "thread ", 0);
}

static void *observe(void *unused)
{
	(void)unused;
	probe_thread_observe();
	wait_as_new();
	return NULL;
}

static void start_an_observer(void)
{
	new.count = 1;
	sem_init(&new.came, 0, 0);
	sem_init(&new.may_go, 0, 0);
	pthread_create(&new.threads[0], NULL, observe, NULL);
	sem_wait(&new.came);
}

static void test_observers_stay_out(void **state)
{
	(void)state;
	take_around(start_an_observer);
	assert_printed(threads_print_groups, "thread profile: total 0\n", " @ ", 0);
	assert_printed(threads_print_each, "", "thread ", 0);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	assert_int_equal(modules_init(), 0);
	assert_int_equal(probe_births_start(), 0);
	start(&old, OLD_COUNT, wait_as_old);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop(&old);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_only_the_new_ones_show, forget),
		cmocka_unit_test_teardown(test_what_ended_is_less, forget),
		cmocka_unit_test_teardown(test_who_comes_and_goes_is_not_seen, forget),
		cmocka_unit_test_teardown(test_who_stays_is_not_seen, forget),
		cmocka_unit_test_teardown(test_observers_stay_out, forget),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
