/* Contention that goes on while it is asked for, that it is not counted twice, and differences. */
#include "../support/read_contention.h"
#include "../support/test.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "probe/modules.h"
#include "probe/symbolize.h"
#include "probe/thread.h"

#define WAITERS 2
#define MARGIN_NS (double)(30 * CLOCK_NS_PER_MS)

static sem_t may_go, may_unlock, is_locked;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void wait_until(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		; /* EINTR */
}

static int64_t begun_ns, ended_ns;

static TEST_FRAME void *wait_to_go(void *arg)
{
	begun_ns = clock_monotonic_ns();
	sem_wait(&may_go);
	ended_ns = clock_monotonic_ns();
	return arg;
}

static TEST_FRAME void *wait_for_mutex(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return arg;
}

static TEST_FRAME void *hold_mutex(void *arg)
{
	if (arg)
		probe_thread_observe();
	pthread_mutex_lock(&mutex);
	sem_post(&is_locked);
	sem_wait(&may_unlock);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static TEST_FRAME void *use_mutex_and_cond(void *arg)
{
	pthread_cond_t *cond = arg;

	pthread_mutex_lock(&mutex);
	pthread_cond_wait(cond, &mutex);
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void assert_sum(const struct contention_snapshot *snapshot, const char *leaf,
	const char *caller, double count, double delay_ns)
{
	struct contention_entry sum = read_contention_sum(snapshot, leaf, caller);

	print_message("%s < %s: %.0f, %.0f ns (%.0f)\n", leaf, caller, sum.contention_count,
		sum.delay_ns, delay_ns);
	assert_true(sum.contention_count == count);
	assert_true(sum.delay_ns >= delay_ns - MARGIN_NS && sum.delay_ns <= delay_ns + MARGIN_NS);
}

static void test_a_waiter_counts_once_before_and_after_it_ends(void **state)
{
	struct contention_snapshot *during, *after;
	pthread_t thread;
	int64_t now_ns;

	(void)state;
	pthread_create(&thread, NULL, wait_to_go, NULL);
	read_contention_await(CONTENTION_BLOCK, "sem_wait", "wait_to_go", 1);
	now_ns = clock_monotonic_ns();
	during = read_contention_take(CONTENTION_BLOCK);
	assert_sum(during, "sem_wait", "wait_to_go", 1, (double)(now_ns - begun_ns));
	while (clock_monotonic_ns() - begun_ns < 2 * CONTENTION_RATE_NS)
		; /* or it might not count when it has ended */
	sem_post(&may_go);
	pthread_join(thread, NULL);
	after = read_contention_take(CONTENTION_BLOCK);
	assert_sum(after, "sem_wait", "wait_to_go", 1, (double)(ended_ns - begun_ns));
	contention_snapshot_subtract(after, during);
	assert_sum(after, "sem_wait", "wait_to_go", 0, (double)(ended_ns - now_ns));
	free(during);
	free(after);
}

/* The same places, whether they still wait or not: one stack, and so one entry. */
static void test_finished_waits_and_those_under_way_are_one(void **state)
{
	struct contention_snapshot *snapshot;
	size_t entry_count = 0;
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, wait_to_go, NULL);
	read_contention_await(CONTENTION_BLOCK, "sem_wait", "wait_to_go", 2);
	snapshot = read_contention_take(CONTENTION_BLOCK);
	sem_post(&may_go);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < snapshot->entry_count; i++) {
		struct contention_snapshot *one = malloc(sizeof(*one) + sizeof(one->entries[0]));

		*one = *snapshot;
		one->entry_count = 1;
		one->entries[0] = snapshot->entries[i];
		entry_count += read_contention_cumulative(one, "wait_to_go").contention_count > 0;
		free(one);
	}
	assert_int_equal(entry_count, 1);
	free(snapshot);
}

static void start_holder(pthread_t *holder, pthread_t waiters[WAITERS], void *observes)
{
	pthread_create(holder, NULL, hold_mutex, observes);
	wait_until(&is_locked);
	for (int i = 0; i < WAITERS; i++)
		pthread_create(&waiters[i], NULL, wait_for_mutex, NULL);
}

static void end_holder(pthread_t holder, pthread_t waiters[WAITERS])
{
	sem_post(&may_unlock);
	pthread_join(holder, NULL);
	for (int i = 0; i < WAITERS; i++)
		pthread_join(waiters[i], NULL);
}

static void test_a_holder_counts_where_it_is_then_where_it_unlocked(void **state)
{
	struct contention_snapshot *before = read_contention_take(CONTENTION_MUTEX), *during,
				   *after;
	pthread_t holder, waiters[WAITERS];
	struct contention_entry held, unlocked;

	(void)state;
	start_holder(&holder, waiters, NULL);
	read_contention_await(CONTENTION_MUTEX, "sem_wait", "hold_mutex", WAITERS);
	do {
		during = read_contention_since(before);
		held = read_contention_sum(during, "sem_wait", "hold_mutex");
		free(during);
	} while (held.delay_ns < 2 * CONTENTION_RATE_NS);
	end_holder(holder, waiters);
	after = read_contention_since(before);
	unlocked = read_contention_sum(after, "pthread_mutex_unlock", "hold_mutex");
	assert_true(held.contention_count == WAITERS);
	assert_true(read_contention_sum(after, "sem_wait", "hold_mutex").contention_count == 0);
	assert_true(unlocked.contention_count == WAITERS);
	assert_true(unlocked.delay_ns > held.delay_ns);
	free(before);
	free(after);
}

/* Of one that is no thread of the program, where it locked is what can be told. */
static void test_a_holder_that_is_not_seen_counts_where_it_locked(void **state)
{
	pthread_t holder, waiters[WAITERS];
	int64_t end_ns = clock_monotonic_ns() + 10 * CLOCK_NS_PER_SEC;
	struct contention_entry found = {0};

	(void)state;
	start_holder(&holder, waiters, &holder);
	read_contention_await(CONTENTION_BLOCK, "pthread_mutex_lock", "wait_for_mutex", WAITERS);
	while (found.contention_count < WAITERS) {
		struct contention_snapshot *snapshot = read_contention_take(CONTENTION_MUTEX);

		assert_true(clock_monotonic_ns() < end_ns);
		for (size_t i = 0; i < snapshot->entry_count; i++)
			if (snapshot->entries[i].stack && snapshot->entries[i].stack->pc_count == 1)
				found = snapshot->entries[i];
		free(snapshot);
	}
	assert_string_equal(probe_symbolize(found.stack->pcs[0])->frames[0].function, "hold_mutex");
	end_holder(holder, waiters);
}

/* A condition that is waited for is no mutex that is held. */
static void test_idle_threads_are_in_block_only(void **state)
{
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct contention_snapshot *held;
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, use_mutex_and_cond, &cond);
	read_contention_await(CONTENTION_BLOCK, "pthread_cond_wait", "use_mutex_and_cond", 1);
	held = read_contention_take(CONTENTION_MUTEX);
	assert_true(read_contention_cumulative(held, "use_mutex_and_cond").contention_count == 0);
	free(held);
	pthread_mutex_lock(&mutex);
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
}

static TEST_FRAME void *wait_for_input(void *arg)
{
	struct pollfd input = {.fd = *(int *)arg, .events = POLLIN};

	sem_post(&is_locked);
	while (poll(&input, 1, -1) != 1)
		; /* EINTR */
	return NULL;
}

static void test_who_waits_for_no_thread_is_left_out(void **state)
{
	struct contention_snapshot *snapshot;
	pthread_t reader, waiter;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pthread_create(&reader, NULL, wait_for_input, &fds[0]);
	wait_until(&is_locked);
	/* A second thread, by which one sees that the snapshot has who waits. */
	pthread_create(&waiter, NULL, wait_to_go, NULL);
	read_contention_await(CONTENTION_BLOCK, "sem_wait", "wait_to_go", 1);
	snapshot = read_contention_take(CONTENTION_BLOCK);
	assert_true(read_contention_cumulative(snapshot, "wait_for_input").contention_count == 0);
	free(snapshot);
	assert_int_equal(write(fds[1], "x", 1), 1);
	sem_post(&may_go);
	pthread_join(reader, NULL);
	pthread_join(waiter, NULL);
	close(fds[0]);
	close(fds[1]);
}

static TEST_FRAME void *observe_and_wait(void *arg)
{
	probe_thread_observe();
	sem_post(&is_locked);
	sem_wait(&may_unlock);
	return arg;
}

static void test_observers_that_wait_are_left_out(void **state)
{
	struct contention_snapshot *snapshot;
	pthread_t observer, waiter;

	(void)state;
	pthread_create(&observer, NULL, observe_and_wait, NULL);
	wait_until(&is_locked);
	/* A second thread, by which one sees that the snapshot has who waits. */
	pthread_create(&waiter, NULL, wait_to_go, NULL);
	read_contention_await(CONTENTION_BLOCK, "sem_wait", "wait_to_go", 1);
	snapshot = read_contention_take(CONTENTION_BLOCK);
	assert_true(read_contention_cumulative(snapshot, "observe_and_wait").contention_count == 0);
	free(snapshot);
	sem_post(&may_unlock);
	sem_post(&may_go);
	pthread_join(observer, NULL);
	pthread_join(waiter, NULL);
}

static struct contention_snapshot *make(size_t count, const struct contention_entry *entries)
{
	struct contention_snapshot *snapshot = malloc(sizeof(*snapshot) + count * sizeof(*entries));

	*snapshot = (struct contention_snapshot){.entry_count = count};
	memcpy(snapshot->entries, entries, count * sizeof(*entries));
	return snapshot;
}

static void test_a_difference_is_taken_stack_by_stack(void **state)
{
	const struct depot_stack *stacks[4];
	struct contention_snapshot *old, *new;

	(void)state;
	for (uintptr_t i = 0; i < 4; i++)
		stacks[i] = probe_depot_put((uintptr_t[]){0x1000 + i, 0x2000}, 2);
	old = make(4, (struct contention_entry[]){{NULL, 1, 10}, {stacks[0], 2, 20},
			      {stacks[1], 3, 30}, {stacks[3], 4, 40}});
	new = make(4, (struct contention_entry[]){{NULL, 2, 11}, {stacks[1], 3, 35},
			      {stacks[2], 7, 70}, {stacks[3], 3, 30}});
	old->lost_count = 2;
	new->lost_count = 1;
	contention_snapshot_subtract(new, old);
	assert_true(new->entries[0].contention_count == 1 && new->entries[0].delay_ns == 1);
	assert_true(new->entries[1].contention_count == 0 && new->entries[1].delay_ns == 5);
	assert_true(new->entries[2].contention_count == 7 && new->entries[2].delay_ns == 70);
	assert_true(new->entries[3].contention_count == 0 && new->entries[3].delay_ns == 0);
	assert_int_equal(new->lost_count, 0);
	free(old);
	free(new);
}

static int set_up(void **state)
{
	(void)state;
	sem_init(&may_go, 0, 0);
	sem_init(&may_unlock, 0, 0);
	sem_init(&is_locked, 0, 0);
	probe_thread_init();
	if (modules_init() != 0)
		return -1;
	return contention_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_waiter_counts_once_before_and_after_it_ends),
		cmocka_unit_test(test_finished_waits_and_those_under_way_are_one),
		cmocka_unit_test(test_a_holder_counts_where_it_is_then_where_it_unlocked),
		cmocka_unit_test(test_a_holder_that_is_not_seen_counts_where_it_locked),
		cmocka_unit_test(test_idle_threads_are_in_block_only),
		cmocka_unit_test(test_who_waits_for_no_thread_is_left_out),
		cmocka_unit_test(test_observers_that_wait_are_left_out),
		cmocka_unit_test(test_a_difference_is_taken_stack_by_stack),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
