#include "../support/test.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/task.h"

static void test_names(void **state)
{
	char name[PROBE_NAME_BYTES];

	(void)state;
	prctl(PR_SET_NAME, "fifteen-letters");
	assert_int_equal(probe_task_name(gettid(), name), 0);
	assert_string_equal(name, "fifteen-letters");
	prctl(PR_SET_NAME, "a b) (c");
	assert_int_equal(probe_task_name(gettid(), name), 0);
	assert_string_equal(name, "a b) (c");
	prctl(PR_SET_NAME, "");
	assert_int_equal(probe_task_name(gettid(), name), 0);
	assert_string_equal(name, "");
}

static void test_blocked_signals(void **state)
{
	sigset_t signals;

	(void)state;
	sigemptyset(&signals);
	sigaddset(&signals, SIGURG);
	sigaddset(&signals, SIGRTMAX);
	assert_false(probe_task_blocks(gettid(), SIGURG));
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	assert_true(probe_task_blocks(gettid(), SIGURG));
	assert_true(probe_task_blocks(gettid(), SIGRTMAX));
	assert_false(probe_task_blocks(gettid(), SIGURG + 1));
	assert_false(probe_task_blocks(gettid(), SIGURG - 1));
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	assert_false(probe_task_blocks(gettid(), SIGURG));
}

static void test_time_on_the_cpu_grows(void **state)
{
	struct probe_task_sched before, after;
	int64_t end_ns = clock_monotonic_ns() + 10 * CLOCK_NS_PER_SEC;
	const int64_t wanted_ns = 50 * CLOCK_NS_PER_MS;

	(void)state;
	assert_int_equal(probe_task_sched(gettid(), &before), 0);
	do
		assert_int_equal(probe_task_sched(gettid(), &after), 0);
	while (after.run_ns - before.run_ns < wanted_ns && clock_monotonic_ns() < end_ns);
	assert_true(after.run_ns - before.run_ns >= wanted_ns);
	assert_true(after.delay_ns >= before.delay_ns);
}

/* On one CPU, who does not run while others do waits for it. */
static void *burn_main(void *arg)
{
	int64_t end_ns = clock_monotonic_ns() + 100 * CLOCK_NS_PER_MS;

	while (clock_monotonic_ns() < end_ns)
		;
	return arg;
}

static void test_time_without_a_cpu_grows(void **state)
{
	struct probe_task_sched before, after;
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t one, all;

	(void)state;
	pthread_getaffinity_np(pthread_self(), sizeof(all), &all);
	CPU_ZERO(&one);
	for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &one);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(one), &one);
	assert_int_equal(probe_task_sched(gettid(), &before), 0);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
	pthread_create(&thread, &attr, burn_main, NULL);
	burn_main(NULL);
	pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
	assert_int_equal(probe_task_sched(gettid(), &after), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	assert_true(after.delay_ns - before.delay_ns > 10 * CLOCK_NS_PER_MS);
}

static void test_a_thread_that_is_not_there(void **state)
{
	static const pid_t strangers[] = {INT_MAX, 1 << 23};
	struct probe_task_sched sched;
	char name[PROBE_NAME_BYTES];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(probe_task_name(strangers[i], name), -ESRCH);
		assert_int_equal(probe_task_sched(strangers[i], &sched), -ESRCH);
		assert_false(probe_task_blocks(strangers[i], SIGURG));
	}
	/* A thread, but of another process. */
	assert_int_equal(probe_task_name(getppid(), name), -ESRCH);
}

struct visits {
	pid_t wanted[2];
	size_t found[2], count;
};

static void visit(pid_t tid, void *context)
{
	struct visits *visits = context;

	visits->count++;
	for (int i = 0; i < 2; i++)
		visits->found[i] += tid == visits->wanted[i];
}

static sem_t started, ended;
static pid_t other_tid;

static void *other_main(void *arg)
{
	other_tid = gettid();
	sem_post(&started);
	sem_wait(&ended);
	return arg;
}

static void test_all_are_visited_and_counted(void **state)
{
	int64_t before = probe_task_count();
	struct visits visits = {0};
	pthread_t thread;

	(void)state;
	sem_init(&started, 0, 0);
	sem_init(&ended, 0, 0);
	pthread_create(&thread, NULL, other_main, NULL);
	sem_wait(&started);
	visits.wanted[0] = gettid();
	visits.wanted[1] = other_tid;
	assert_int_equal(probe_task_for_each(visit, &visits), 0);
	assert_int_equal(probe_task_count(), before + 1);
	assert_int_equal(visits.count, before + 1);
	assert_int_equal(visits.found[0], 1);
	assert_int_equal(visits.found[1], 1);
	sem_post(&ended);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: a thread that was joined may still be counted for a moment. */
		cmocka_unit_test(test_all_are_visited_and_counted),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_blocked_signals),
		cmocka_unit_test(test_time_on_the_cpu_grows),
		cmocka_unit_test(test_time_without_a_cpu_grows),
		cmocka_unit_test(test_a_thread_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
