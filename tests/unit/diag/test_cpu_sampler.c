/* Several who want samples of CPU time at once. */
#include "../support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "diag/cpu.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define SAMPLES_MAX 2000

/* What a listener was told; written on the sampler's thread, read when the listener has left. */
struct heard {
	struct cpu_listener listener;
	struct {
		int64_t time_ns;
		pid_t tid;
		uint64_t tick_count;
		uintptr_t pc;
	} samples[SAMPLES_MAX];
	size_t count;
	atomic_bool has_left;
};

static void on_sample(const struct probe_stack *stack, void *context)
{
	struct heard *heard = context;

	assert_false(atomic_load(&heard->has_left));
	if (heard->count == SAMPLES_MAX)
		return;
	heard->samples[heard->count].time_ns = stack->time_ns;
	heard->samples[heard->count].tid = stack->tid;
	heard->samples[heard->count].tick_count = stack->tag;
	heard->samples[heard->count++].pc = stack->pc_count ? stack->pcs[0] : 0;
}

/* A profile chooses HZ, a trace (0) does not. */
static int join(struct heard *heard, int hz)
{
	heard->listener = (struct cpu_listener){hz, on_sample, heard, NULL};
	heard->count = 0;
	atomic_store(&heard->has_left, false);
	return cpu_sampler_join(&heard->listener);
}

static void leave(struct heard *heard)
{
	cpu_sampler_leave(&heard->listener);
	atomic_store(&heard->has_left, true);
}

static int64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * CLOCK_NS_PER_SEC + now.tv_nsec;
}

static void burn(int64_t cpu_ns)
{
	static volatile double sink;
	int64_t until_ns = thread_cpu_ns() + cpu_ns;

	while (thread_cpu_ns() < until_ns)
		for (int i = 0; i < 1000; i++)
			sink = sink * 1.0000001 + 0.5;
}

static uint64_t ticks(const struct heard *heard)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < heard->count; i++)
		sum += heard->samples[i].tick_count;
	return sum;
}

/* The kernel's own list of this process's timers, one "ID:" line each. */
static int timer_count(void)
{
	struct strbuf timers = STRBUF_INIT;
	int count = 0;

	if (strbuf_read_file(&timers, "/proc/self/timers", 1 << 20) != 0)
		return 0; /* a kernel without CONFIG_CHECKPOINT_RESTORE */
	for (const char *at = timers.data; at && (at = strstr(at, "ID:")); at += 3)
		count++;
	strbuf_free(&timers);
	return count;
}

static struct heard profile, trace, other;

static int none_is_left(void **state)
{
	(void)state;
	return timer_count();
}

static void test_both_get_the_same_samples(void **state)
{
	size_t first = 0;

	(void)state;
	assert_int_equal(join(&profile, 100), 0);
	burn(CLOCK_NS_PER_SEC / 10);
	assert_int_equal(join(&trace, 0), 0);
	burn(CLOCK_NS_PER_SEC / 2);
	leave(&trace);
	burn(CLOCK_NS_PER_SEC / 10);
	leave(&profile);
	assert_in_range(ticks(&trace), 40, 60);
	assert_in_range(ticks(&profile), 60, 80);
	while (profile.samples[first].time_ns < trace.samples[0].time_ns)
		first++;
	assert_true(first > 0);
	assert_true(first + trace.count < profile.count);
	assert_memory_equal(
		&profile.samples[first], trace.samples, trace.count * sizeof(trace.samples[0]));
}

static void test_who_does_not_choose_has_what_the_others_have(void **state)
{
	(void)state;
	assert_int_equal(join(&trace, 0), 0);
	burn(CLOCK_NS_PER_SEC / 2);
	assert_int_equal(join(&profile, 20), 0);
	burn(CLOCK_NS_PER_SEC);
	leave(&profile);
	leave(&trace);
	assert_in_range(ticks(&profile), 17, 23);
	assert_in_range(ticks(&trace), 40 + 17, 60 + 23);
	/* Alone it has the default, whatever was before. */
	assert_int_equal(join(&trace, 0), 0);
	burn(CLOCK_NS_PER_SEC / 2);
	leave(&trace);
	assert_in_range(ticks(&trace), 40, 60);
}

static void test_two_that_choose_must_agree(void **state)
{
	(void)state;
	assert_int_equal(join(&profile, CPU_HZ_MIN - 2), -EINVAL);
	assert_int_equal(join(&profile, CPU_HZ_MAX + 1), -EINVAL);
	assert_int_equal(join(&profile, 50), 0);
	assert_int_equal(join(&other, 100), -EBUSY);
	assert_int_equal(join(&trace, 0), 0);
	assert_int_equal(join(&other, 100), -EBUSY);
	assert_int_equal(join(&other, 50), 0);
	leave(&profile);
	assert_int_equal(join(&profile, 100), -EBUSY);
	leave(&other);
	/* Only the trace is left. */
	assert_int_equal(join(&profile, 100), 0);
	burn(CLOCK_NS_PER_SEC / 2);
	leave(&profile);
	leave(&trace);
	assert_in_range(ticks(&profile), 40, 60);
}

static void test_they_leave_in_any_order(void **state)
{
	static struct heard *const all[] = {&profile, &trace, &other};
	static const int orders[][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		for (int k = 0; k < 3; k++)
			assert_int_equal(join(all[k], 0), 0);
		for (int k = 0; k < 3; k++) {
			burn(CLOCK_NS_PER_SEC / 10);
			leave(all[orders[i][k]]);
		}
		assert_int_equal(timer_count(), 0);
		/* Who left later has heard more; on_sample() sees that nobody hears after. */
		assert_true(all[orders[i][0]]->count > 0);
		assert_true(all[orders[i][0]]->count < all[orders[i][1]]->count);
		assert_true(all[orders[i][1]]->count < all[orders[i][2]]->count);
	}
}

static void dawdle(const struct probe_stack *stack, void *context)
{
	(void)stack;
	(void)context;
	nanosleep(&(struct timespec){.tv_nsec = 25 * CLOCK_NS_PER_MS}, NULL);
}

/* Samples wait for a listener that is slow; who leaves gets those that were taken before. */
static void test_who_leaves_has_heard_all(void **state)
{
	struct cpu_listener slow = {.on_sample = dawdle};

	(void)state;
	assert_int_equal(cpu_sampler_join(&slow), 0);
	assert_int_equal(join(&trace, 0), 0);
	burn(CLOCK_NS_PER_SEC / 4);
	leave(&trace);
	cpu_sampler_leave(&slow);
	assert_in_range(ticks(&trace), 20, 30);
}

static void test_a_profile_and_a_trace_at_once(void **state)
{
	struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(join(&trace, 0), 0);
	assert_int_equal(cpu_profile_start(50), 0);
	assert_int_equal(cpu_profile_start(50), -EBUSY);
	burn(CLOCK_NS_PER_SEC / 2);
	assert_int_equal(cpu_profile_stop(&out), 0);
	strbuf_free(&out);
	leave(&trace);
	assert_in_range(ticks(&trace), 20, 30);
	/* One that cannot start leaves nothing behind. */
	assert_int_equal(join(&other, 10), 0);
	assert_int_equal(cpu_profile_start(50), -EBUSY);
	leave(&other);
	assert_int_equal(cpu_profile_start(50), 0);
	cpu_profile_drop();
}

static void *come_and_go(void *context)
{
	for (int i = 0; i < 50; i++) {
		assert_int_equal(join(context, 0), 0);
		burn(CLOCK_NS_PER_MS);
		leave(context);
	}
	return NULL;
}

static void test_they_come_and_go_at_once(void **state)
{
	pthread_t threads[3];
	struct heard *const all[] = {&profile, &trace, &other};

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, all[i]), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	cpu_sampler_init();
	return modules_init();
}

#define TEST(name) cmocka_unit_test_teardown(name, none_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_get_the_same_samples),
		TEST(test_who_does_not_choose_has_what_the_others_have),
		TEST(test_two_that_choose_must_agree),
		TEST(test_they_leave_in_any_order),
		TEST(test_who_leaves_has_heard_all),
		TEST(test_a_profile_and_a_trace_at_once),
		TEST(test_they_come_and_go_at_once),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
