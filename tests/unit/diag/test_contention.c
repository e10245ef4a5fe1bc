/* Contention that has ended: what counts, how much, and under which stack. */
#include "../support/read_contention.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "diag/contention.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "probe/wait.h"

#define WAITERS 3
#define HOLD_NS (50 * CLOCK_NS_PER_MS)
#define COUNT_VALUE 0
#define DELAY_VALUE 1

static void assert_about(double value, double truth, double percent)
{
	print_message("%.0f, in truth %.0f\n", value, truth);
	assert_true(value >= truth * (1 - percent / 100) && value <= truth * (1 + percent / 100));
}

static struct timespec in(int64_t delay_ns)
{
	int64_t at_ns = clock_realtime_ns() + delay_ns;

	return (struct timespec){at_ns / CLOCK_NS_PER_SEC, at_ns % CLOCK_NS_PER_SEC};
}

static void pause_for(int64_t duration_ns)
{
	const struct timespec duration = {0, duration_ns};

	nanosleep(&duration, NULL);
}

/* ---- a known contention ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct waiter {
	pthread_t thread;
	int64_t begin_ns, end_ns;
};

static TEST_FRAME void *wait_for_mutex(void *arg)
{
	struct waiter *waiter = arg;

	waiter->begin_ns = clock_monotonic_ns();
	pthread_mutex_lock(&mutex);
	waiter->end_ns = clock_monotonic_ns();
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void note_waiters(const void *contended, int64_t waited_ns, unsigned count, void *context)
{
	(void)waited_ns;
	if (contended == &mutex)
		*(unsigned *)context = count;
}

static void await_waiters(unsigned wanted)
{
	unsigned count = 0;

	while (count < wanted)
		probe_contended_for_each(note_waiters, &count);
}

struct hold {
	int64_t all_wait_ns, unlock_ns;
};

static TEST_FRAME struct hold hold_mutex(struct waiter waiters[WAITERS])
{
	struct hold hold;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < WAITERS; i++)
		pthread_create(&waiters[i].thread, NULL, wait_for_mutex, &waiters[i]);
	await_waiters(WAITERS);
	hold.all_wait_ns = clock_monotonic_ns();
	pause_for(HOLD_NS);
	hold.unlock_ns = clock_monotonic_ns();
	pthread_mutex_unlock(&mutex);
	return hold;
}

static struct read_profile *encode(const struct contention_snapshot *snapshot)
{
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(contention_encode(snapshot, 0, &out), 0);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	return profile;
}

static void assert_edge(const struct contention_snapshot *before, const char *leaf,
	const char *caller, double min_ns, double max_ns)
{
	struct contention_snapshot *since = read_contention_since(before);
	struct read_profile *profile = encode(since);
	double delay_ns = (double)read_profile_edge(profile, DELAY_VALUE, leaf, caller);

	print_message("%.0f, in truth %.0f to %.0f\n", delay_ns, min_ns, max_ns);
	assert_int_equal(read_profile_edge(profile, COUNT_VALUE, leaf, caller), WAITERS);
	assert_true(delay_ns >= min_ns * 0.9999 && delay_ns <= max_ns * 1.0001);
	read_profile_close(profile);
	free(since);
}

/*
 * A waiter that is kept from its core just before it waits has waited less than it thinks, and one
 * just after it more: the truth lies between two bounds.
 */
static void test_a_holder_and_those_who_waited_for_it(void **state)
{
	struct contention_snapshot *block = read_contention_take(CONTENTION_BLOCK);
	struct contention_snapshot *held = read_contention_take(CONTENTION_MUTEX);
	struct waiter waiters[WAITERS];
	int64_t begin_ns = 0, end_ns = 0;
	struct hold hold = hold_mutex(waiters);
	double min_ns = (double)(WAITERS * (hold.unlock_ns - hold.all_wait_ns));

	(void)state;
	for (int i = 0; i < WAITERS; i++) {
		pthread_join(waiters[i].thread, NULL);
		begin_ns += waiters[i].begin_ns;
		end_ns += waiters[i].end_ns;
	}
	assert_edge(
		block, "pthread_mutex_lock", "wait_for_mutex", min_ns, (double)(end_ns - begin_ns));
	assert_edge(
		held, "pthread_mutex_unlock", "hold_mutex", min_ns, (double)(end_ns - begin_ns));
	free(block);
	free(held);
}

/* ---- stacks ---- */

static TEST_FRAME void wait_in_every_way(void)
{
	const struct timespec until = in(12 * CLOCK_NS_PER_MS);
	pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	sem_t sem;

	sem_init(&sem, 0, 0);
	assert_int_equal(sem_timedwait(&sem, &until), -1);
	pthread_mutex_lock(&own);
	const struct timespec cond_until = in(12 * CLOCK_NS_PER_MS);
	assert_int_equal(pthread_cond_timedwait(&cond, &own, &cond_until), ETIMEDOUT);
	const struct timespec lock_until = in(12 * CLOCK_NS_PER_MS);
	assert_int_equal(pthread_mutex_timedlock(&own, &lock_until), ETIMEDOUT);
	pthread_mutex_unlock(&own);
	sem_destroy(&sem);
}

static void *pause_main(void *arg)
{
	pause_for(20 * CLOCK_NS_PER_MS);
	return arg;
}

static TEST_FRAME void join_one(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, pause_main, NULL);
	pthread_join(thread, NULL);
}

static void test_the_leaf_is_the_call_that_waited(void **state)
{
	struct contention_snapshot *before = read_contention_take(CONTENTION_BLOCK), *since;
	static const char *const calls[] = {
		"sem_timedwait", "pthread_cond_timedwait", "pthread_mutex_timedlock"};

	(void)state;
	wait_in_every_way();
	join_one();
	since = read_contention_since(before);
	for (int i = 0; i < 3; i++)
		assert_true(read_contention_sum(since, calls[i], "wait_in_every_way")
				    .contention_count == 1);
	assert_true(read_contention_sum(since, "pthread_join", "join_one").contention_count == 1);
	assert_true(read_contention_cumulative(since, "on_wait_end").contention_count == 0);
	free(before);
	free(since);
}

static void test_observers_are_left_out(void **state)
{
	struct contention_snapshot *before = read_contention_take(CONTENTION_BLOCK), *since;

	(void)state;
	probe_observe_begin();
	wait_in_every_way();
	probe_observe_end();
	since = read_contention_since(before);
	assert_true(read_contention_cumulative(since, "wait_in_every_way").contention_count == 0);
	free(before);
	free(since);
}

/* ---- short waits ---- */

#define SHORT_WAITS 20000
#define SHORT_NS 50000

/* Returns how long they took together. */
static TEST_FRAME int64_t wait_shortly(void)
{
	int64_t waited_ns = 0;
	sem_t sem;

	sem_init(&sem, 0, 0);
	for (int i = 0; i < SHORT_WAITS; i++) {
		const struct timespec until = in(SHORT_NS);
		int64_t begin_ns = clock_monotonic_ns();

		assert_int_equal(sem_timedwait(&sem, &until), -1);
		waited_ns += clock_monotonic_ns() - begin_ns;
	}
	sem_destroy(&sem);
	return waited_ns;
}

/*
 * The estimate itself is off by a stretch in a hundred or more; on a busy machine the truth is, too:
 * what passes between the clock and the wait. The count is off by as much as the waits differ.
 */
static void test_short_waits_are_estimated(void **state)
{
	struct contention_snapshot *before = read_contention_take(CONTENTION_BLOCK), *since;
	struct contention_entry sum;
	int64_t waited_ns;

	(void)state;
	assert_int_equal(prctl(PR_SET_TIMERSLACK, 1), 0);
	waited_ns = wait_shortly();
	since = read_contention_since(before);
	sum = read_contention_sum(since, "sem_timedwait", "wait_shortly");
	assert_about(sum.delay_ns, (double)waited_ns, 15);
	assert_about(sum.contention_count, SHORT_WAITS, 15);
	free(before);
	free(since);
}

/* ---- text ---- */

static void assert_text(enum contention_kind kind, const char *head, const char *function)
{
	struct contention_snapshot *snapshot = read_contention_take(kind);
	long long delay_ns, count, previous_ns = INT64_MAX;
	struct strbuf out = STRBUF_INIT;
	int line_count = 0;
	char *rest, *line;

	contention_print(snapshot, &out);
	assert_memory_equal(out.data, head, strlen(head));
	assert_non_null(strstr(out.data, function));
	for (line = strtok_r(out.data + strlen(head), "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest)) {
		char at = 0;

		if (*line == '#')
			continue;
		assert_int_equal(sscanf(line, "%lld %lld %c 0x", &delay_ns, &count, &at), 3);
		assert_true(at == '@' && delay_ns <= previous_ns);
		previous_ns = delay_ns;
		line_count++;
	}
	assert_true(line_count > 0);
	strbuf_free(&out);
	free(snapshot);
}

static void test_text_is_as_go_prints_it(void **state)
{
	(void)state;
	assert_text(CONTENTION_BLOCK, "--- contention:\ncycles/second=1000000000\n",
		"\tpthread_mutex_lock+0");
	assert_text(CONTENTION_MUTEX, "--- mutex:\ncycles/second=1000000000\nsampling period=1\n",
		"\tpthread_mutex_unlock+0");
}

/* ---- an unwinder that is outrun ---- */

#define BURST_THREADS 32
#define BURST_WAITS 20

static TEST_FRAME void *wait_in_a_burst(void *arg)
{
	sem_t sem;

	sem_init(&sem, 0, 0);
	for (int i = 0; i < BURST_WAITS; i++) {
		const struct timespec until = in(11 * CLOCK_NS_PER_MS);

		assert_int_equal(sem_timedwait(&sem, &until), -1);
	}
	sem_destroy(&sem);
	return arg;
}

/* The ring has 512 slots; nothing is unwound while the modules are locked. */
static void burst(void)
{
	pthread_t threads[BURST_THREADS];

	modules_lock();
	for (int i = 0; i < BURST_THREADS; i++)
		pthread_create(&threads[i], NULL, wait_in_a_burst, NULL);
	for (int i = 0; i < BURST_THREADS; i++)
		pthread_join(threads[i], NULL);
	modules_unlock();
}

static void test_what_found_no_room_counts_and_is_told(void **state)
{
	struct contention_snapshot *before = read_contention_take(CONTENTION_BLOCK), *since;
	struct strbuf text = STRBUF_INIT;
	struct read_profile *profile;
	double seen_count;

	(void)state;
	burst();
	since = read_contention_since(before);
	seen_count = read_contention_cumulative(since, "wait_in_a_burst").contention_count;
	assert_true(since->lost_count > 0);
	assert_true(seen_count < BURST_THREADS * BURST_WAITS);
	assert_true(read_contention_cumulative(since, NULL).contention_count >=
		    BURST_THREADS * BURST_WAITS);
	profile = encode(since);
	assert_non_null(strstr(read_profile_comment(profile), " samples have no stack"));
	contention_print(since, &text);
	assert_non_null(strstr(text.data, " samples have no stack"));
	read_profile_close(profile);
	strbuf_free(&text);
	free(before);
	free(since);
}

static void test_without_init_it_says_so(void **state)
{
	struct contention_snapshot *snapshot;

	(void)state;
	assert_int_equal(contention_snapshot(CONTENTION_BLOCK, &snapshot), -ENODATA);
	assert_int_equal(contention_init(), 0);
	assert_int_equal(contention_init(), 0);
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
		cmocka_unit_test(test_without_init_it_says_so),
		cmocka_unit_test(test_a_holder_and_those_who_waited_for_it),
		cmocka_unit_test(test_the_leaf_is_the_call_that_waited),
		cmocka_unit_test(test_observers_are_left_out),
		cmocka_unit_test(test_short_waits_are_estimated),
		cmocka_unit_test(test_text_is_as_go_prints_it),
		cmocka_unit_test(test_what_found_no_room_counts_and_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
