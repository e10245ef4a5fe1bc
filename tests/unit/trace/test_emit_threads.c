/* Many threads that say something: whose ring is whose, and what stays whole. */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "probe/thread.h"
#include "trace/writer.h"
#include "trace/trace.h"

#define PLENTY_BYTES (1ll << 40)
#define STACK_BYTES (64 * 1024)

/* ---- what was said, of all threads ---- */

static struct {
	size_t writers, ended, records, instants;
} seen;

static void look_at(struct writer *writer, void *context)
{
	bool has_ended = atomic_load(&writer->has_ended);
	struct record record;

	(void)context;
	seen.writers++;
	while (ring_take(&writer->ring, ring_head(&writer->ring), &record)) {
		seen.records++;
		seen.instants += record.kind == RECORD_INSTANT;
	}
	if (has_ended) {
		seen.ended++;
		writer_release(writer);
	}
}

static void look(void)
{
	memset(&seen, 0, sizeof(seen));
	writers_visit(look_at, NULL);
}

static int begin(void **state)
{
	(void)state;
	look();
	writers_start(PLENTY_BYTES);
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_true(writers_stop());
	look();
	return 0;
}

/* ---- threads that come and go ---- */

static pthread_barrier_t all_there;

static void *say_once(void *arg)
{
	(void)arg;
	trace_instant("here");
	pthread_barrier_wait(&all_there);
	return NULL;
}

static pthread_t start(void *(*routine)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	assert_int_equal(pthread_create(&thread, &attr, routine, NULL), 0);
	pthread_attr_destroy(&attr);
	return thread;
}

static void say_in_threads(size_t count)
{
	pthread_t threads[WRITERS_MAX + 50];

	pthread_barrier_init(&all_there, NULL, (unsigned)count);
	for (size_t i = 0; i < count; i++)
		threads[i] = start(say_once);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&all_there);
}

static void test_a_thread_that_ends_gives_its_writer_back(void **state)
{
	(void)state;
	trace_instant("main");
	say_in_threads(3);
	look();
	assert_int_equal(seen.writers, 4);
	assert_int_equal(seen.ended, 3);
	assert_int_equal(seen.instants, 4);
	look();
	assert_int_equal(seen.writers, 1);
	/* More, one after the other, than there are writers at once. */
	for (int i = 0; i < 8; i++) {
		say_in_threads(WRITERS_MAX / 4);
		look();
		assert_int_equal(seen.instants, WRITERS_MAX / 4);
	}
	assert_int_equal(writer_counts().dropped, 0);
}

static void test_threads_beyond_the_writers_are_counted(void **state)
{
	(void)state;
	trace_instant("main");
	look();
	say_in_threads(WRITERS_MAX + 50);
	/* One is the main thread's. */
	assert_int_equal(writer_counts().dropped, 51);
	look();
	assert_int_equal(seen.instants, WRITERS_MAX - 1);
	say_in_threads(1);
	assert_int_equal(writer_counts().dropped, 51);
}

static pthread_key_t late_key;

static void say_late(void *unused)
{
	(void)unused;
	trace_instant("late");
}

static void *end_late(void *arg)
{
	trace_instant("in time");
	/* Its destructor comes in a later round than that of the list of threads. */
	pthread_setspecific(late_key, &late_key);
	return arg;
}

static void test_after_its_end_a_thread_says_nothing(void **state)
{
	(void)state;
	assert_int_equal(pthread_key_create(&late_key, say_late), 0);
	pthread_join(start(end_late), NULL);
	pthread_key_delete(late_key);
	look();
	assert_int_equal(seen.instants, 1);
	look();
	assert_int_equal(seen.ended, 0);
}

/* ---- signals, at a thread's first word ---- */

#define SIGNALLED_THREADS (test_is_stress() ? 5000 : 200)

static _Atomic(pthread_t) signalled;
static atomic_bool is_there, may_go;
static atomic_int signal_count;
static __thread volatile bool speaks;

static void on_signal(int signal)
{
	(void)signal;
	atomic_fetch_add(&signal_count, 1);
	if (speaks)
		trace_instant("signal");
}

static void *bombard(void *arg)
{
	while (!atomic_load(&may_go))
		if (atomic_load(&is_there))
			pthread_kill(atomic_load(&signalled), SIGUSR1);
	return arg;
}

static void *be_signalled(void *arg)
{
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	atomic_store(&signalled, pthread_self());
	atomic_store(&is_there, true);
	/* They come all the time by then. */
	while (atomic_load(&signal_count) < 20)
		;
	speaks = true;
	trace_instant("word");
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	atomic_store(&may_go, true);
	return arg;
}

static void test_a_signal_takes_no_second_writer(void **state)
{
	struct sigaction action = {.sa_handler = on_signal}, before;

	(void)state;
	look();
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	for (int i = 0; i < SIGNALLED_THREADS; i++) {
		pthread_t threads[2];

		atomic_store(&signal_count, 0);
		atomic_store(&is_there, false);
		atomic_store(&may_go, false);
		threads[0] = start(bombard);
		threads[1] = start(be_signalled);
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		look();
		/* The main thread's may be there already. */
		assert_int_equal(seen.ended, 1);
		assert_in_range(seen.writers, 1, 2);
	}
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

/* ---- sessions, while threads say more than there is room for ---- */

#define HAMMERS 3
#define SESSIONS (test_is_stress() ? 2000 : 200)

static atomic_bool stop_hammers;
static atomic_int fault_count;

static void *hammer(void *arg)
{
	for (int64_t i = 0; !atomic_load(&stop_hammers); i++) {
		trace_begin("outer");
		trace_number("i", i);
		trace_begin("inner");
		trace_text("text", "some words");
		trace_end();
		trace_number("of the end", i);
		trace_end();
	}
	return arg;
}

/* Whole slices, each with its own detail; the last ones may be open. */
static void check(struct writer *writer, void *context)
{
	const char *last = "";
	struct record record;
	size_t *count = context;
	int depth = 0;

	for (; ring_take(&writer->ring, ring_head(&writer->ring), &record); ++*count) {
		if (record.kind == RECORD_BEGIN) {
			last = (const char *)(uintptr_t)record.words[0];
			depth++;
			continue;
		}
		if (record.kind == RECORD_END)
			depth--;
		else if (strcmp(last, record.kind == RECORD_TEXT ? "inner" : "outer") != 0)
			atomic_fetch_add(&fault_count, 1);
		if (depth < 0 || depth > 2)
			atomic_fetch_add(&fault_count, 1);
		last = "";
	}
}

static void test_sessions_come_and_go_while_threads_write(void **state)
{
	pthread_t threads[HAMMERS];
	size_t count;

	(void)state;
	atomic_store(&fault_count, 0);
	for (int i = 0; i < HAMMERS; i++)
		threads[i] = start(hammer);
	for (int i = 0; i < SESSIONS; i++) {
		writers_start(i % 2 ? PLENTY_BYTES : 600);
		writers_set_cost(1);
		while (writer_counts().admitted < 500)
			sched_yield();
		assert_true(writers_stop());
		count = 0;
		writers_visit(check, &count);
		assert_in_range(count, 500, SIZE_MAX);
		/* Nobody writes any more. */
		count = 0;
		sched_yield();
		writers_visit(check, &count);
		assert_int_equal(count, 0);
	}
	atomic_store(&stop_hammers, true);
	for (int i = 0; i < HAMMERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&fault_count), 0);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return writers_init();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_thread_that_ends_gives_its_writer_back),
		TEST(test_threads_beyond_the_writers_are_counted),
		TEST(test_after_its_end_a_thread_says_nothing),
		TEST(test_a_signal_takes_no_second_writer),
		cmocka_unit_test(test_sessions_come_and_go_while_threads_write),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
