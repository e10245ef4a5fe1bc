/* A thread is called in the list what the kernel calls it, whoever named it and when. */
#include "../support/test.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/clock.h"
#include "probe/task.h"
#include "probe/thread.h"

#define HOLD_NS 20000

static sem_t born, looked;

struct looking {
	pid_t tid;
	char name[PROBE_NAME_BYTES];
};

static void look(struct probe_thread *thread, void *context)
{
	struct looking *looking = context;

	if (thread->tid == looking->tid)
		memcpy(looking->name, thread->name, sizeof(looking->name));
}

/* Of a thread that lives. */
static void assert_named(pid_t tid, const char *name)
{
	struct looking looking = {.tid = tid};
	char kernels[PROBE_NAME_BYTES];

	probe_thread_for_each(look, &looking);
	assert_string_equal(looking.name, name);
	assert_int_equal(probe_task_name(tid, kernels), 0);
	assert_string_equal(kernels, name);
}

static void await(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		;
}

static void *live(void *tid)
{
	*(pid_t *)tid = probe_thread_self()->tid;
	sem_post(&born);
	await(&looked);
	return NULL;
}

static atomic_bool stop;

static void hold_shortly(void *unused)
{
	int64_t end_ns = clock_monotonic_ns() + HOLD_NS;

	(void)unused;
	while (clock_monotonic_ns() < end_ns)
		;
}

/* So that births take longer, and the naming falls into them. */
static void *hold_the_list(void *unused)
{
	while (!atomic_load(&stop)) {
		probe_thread_locked(hold_shortly, NULL);
		sched_yield();
	}
	return unused;
}

/* Its creator's call may come before the thread's own first code, in the midst of it, or after. */
static void name_many_newborns(void)
{
	char name[PROBE_NAME_BYTES];
	pthread_t thread;
	pid_t tid;

	for (int i = 0; i < (test_is_stress() ? 20000 : 1000); i++) {
		snprintf(name, sizeof(name), "no %d", i);
		assert_int_equal(pthread_create(&thread, NULL, live, &tid), 0);
		assert_int_equal(pthread_setname_np(thread, name), 0);
		await(&born);
		assert_named(tid, name);
		sem_post(&looked);
		pthread_join(thread, NULL);
	}
}

static void test_named_by_its_creator_while_it_is_born(void **state)
{
	pthread_t holder;

	(void)state;
	assert_int_equal(pthread_create(&holder, NULL, hold_the_list, NULL), 0);
	name_many_newborns();
	atomic_store(&stop, true);
	pthread_join(holder, NULL);
}

static void test_named_by_itself(void **state)
{
	pid_t tid = probe_thread_self()->tid;

	(void)state;
	assert_int_equal(pthread_setname_np(pthread_self(), "by-pthread"), 0);
	assert_named(tid, "by-pthread");
	assert_int_equal(prctl(PR_SET_NAME, "by-prctl, which cuts"), 0);
	assert_named(tid, "by-prctl, which");
	assert_true(pthread_setname_np(pthread_self(), "longer than fifteen") != 0);
	assert_named(tid, "by-prctl, which");
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return sem_init(&born, 0, 0) || sem_init(&looked, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_named_by_its_creator_while_it_is_born),
		cmocka_unit_test(test_named_by_itself),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
