/* Every call of waits.def marks its thread while it waits; and what listeners are told of it. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/modules.h"
#include "probe/thread.h"
#include "probe/wait_internal.h"

#define SHORT_NS (20 * CLOCK_NS_PER_MS)

static struct timespec far_off(clockid_t clock)
{
	struct timespec until;

	clock_gettime(clock, &until);
	until.tv_sec += 1000;
	return until;
}

static struct timespec soon(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += SHORT_NS;
	until.tv_sec += until.tv_nsec / CLOCK_NS_PER_SEC;
	until.tv_nsec %= CLOCK_NS_PER_SEC;
	return until;
}

/* ---- every call ---- */

static sem_t semaphore;
static int epoll_fd;
static sigset_t awaited_signals;
static pthread_t joined;
static const struct timespec long_time = {.tv_sec = 1000};

static void do_sem_wait(void)
{
	sem_wait(&semaphore);
}

static void do_sem_timedwait(void)
{
	struct timespec until = far_off(CLOCK_REALTIME);

	sem_timedwait(&semaphore, &until);
}

static void do_sem_clockwait(void)
{
	struct timespec until = far_off(CLOCK_MONOTONIC);

	sem_clockwait(&semaphore, CLOCK_MONOTONIC, &until);
}

static void do_pthread_join(void)
{
	pthread_join(joined, NULL);
}

static void do_epoll_wait(void)
{
	struct epoll_event event;

	epoll_wait(epoll_fd, &event, 1, -1);
}

static void do_epoll_pwait(void)
{
	struct epoll_event event;

	epoll_pwait(epoll_fd, &event, 1, -1, NULL);
}

static void do_poll(void)
{
	poll(NULL, 0, -1);
}

static void do_ppoll(void)
{
	ppoll(NULL, 0, NULL, NULL);
}

static void do_select(void)
{
	select(0, NULL, NULL, NULL, NULL);
}

static void do_nanosleep(void)
{
	nanosleep(&long_time, NULL);
}

static void do_clock_nanosleep(void)
{
	clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, NULL);
}

static void do_usleep(void)
{
	usleep(1000 * 1000 * 1000);
}

static void do_sleep(void)
{
	sleep(1000);
}

static void do_pause(void)
{
	pause();
}

static void do_sigwait(void)
{
	int signal;

	sigwait(&awaited_signals, &signal);
}

static void do_sigwaitinfo(void)
{
	sigwaitinfo(&awaited_signals, NULL);
}

static void do_sigtimedwait(void)
{
	sigtimedwait(&awaited_signals, NULL, &long_time);
}

static const struct call {
	const char *function;
	void (*wait)(void);
} calls[] = {
#define PROBE_WAIT_CALL(type, name, kind, state, parameters, arguments, object) {#name, do_##name},
#include "probe/waits.def"
#undef PROBE_WAIT_CALL
};
#define CALL_COUNT (sizeof(calls) / sizeof(calls[0]))

static const struct call *current;
static sem_t end_joined;
static atomic_bool stop, is_unmarked, is_over;

static void wait_to_be_joined(void)
{
	while (sem_wait(&end_joined) != 0)
		;
}

static void wait_until_stop(void)
{
	bool unmarked = true;

	do {
		current->wait();
		unmarked = unmarked && !probe_thread_self()->wait_mark.wait.call;
	} while (!atomic_load(&stop));
	atomic_store(&is_unmarked, unmarked);
	atomic_store(&is_over, true);
}

static void on_nudge(int signal)
{
	(void)signal;
}

/* One of these ends any of the calls. */
static void end_wait(pthread_t thread)
{
	const struct sigaction nudge = {.sa_handler = on_nudge};

	assert_int_equal(sigaction(SIGUSR1, &nudge, NULL), 0);
	atomic_store(&stop, true);
	sem_post(&semaphore);
	sem_post(&end_joined);
	pthread_kill(thread, SIGUSR2);
	/* It may not be in its wait yet, or again. */
	while (!atomic_load(&is_over)) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
}

static const void *object_of(const struct call *call)
{
	return strncmp(call->function, "sem_", 4) == 0 ? &semaphore : NULL;
}

struct visited {
	pid_t tid;
	struct probe_wait wait;
};

static void note_visited(pid_t tid, const struct probe_wait *wait, void *context)
{
	struct visited *visited = context;

	if (tid == visited->tid)
		visited->wait = *wait;
}

/* CALL NULL: it does not wait, or is nobody's business. */
static struct probe_wait visit_thread(pid_t tid)
{
	struct visited visited = {.tid = tid};

	probe_wait_for_each(note_visited, &visited);
	return visited.wait;
}

static void check_mark(const struct call *call)
{
	const void *object = object_of(call);
	struct probe_wait visited;
	bool is_seen = false;

	while (!is_seen) {
		struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);
		const struct probe_dumped *thread = read_dump_named(&dump, "waiter");

		assert_non_null(thread);
		is_seen = thread->wait.call;
		if (is_seen) {
			assert_string_equal(thread->wait.call->function, call->function);
			assert_ptr_equal(thread->wait.object, object);
			assert_true(thread->wait.since_ns <= thread->time_ns);
			visited = visit_thread(thread->tid);
			assert_memory_equal(&visited, &thread->wait, sizeof(visited));
		}
		read_dump_free(&dump);
	}
}

static atomic_int end_count;

static void on_any_end(const struct probe_wait *wait, int64_t now_ns)
{
	if (strcmp(wait->call->function, current->function) == 0 &&
		wait->object == object_of(current) && wait->since_ns > 0 &&
		wait->since_ns <= now_ns)
		atomic_fetch_add(&end_count, 1);
}

static const struct probe_wait_listener to_any_end = {PROBE_WAITS_ALL, on_any_end, NULL};

static void test_every_call_marks_and_unmarks_and_tells(void **state)
{
	(void)state;
	probe_wait_subscribe(&to_any_end);
	sigemptyset(&awaited_signals);
	sigaddset(&awaited_signals, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &awaited_signals, NULL);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < CALL_COUNT; i++) {
		pthread_t waiter;

		current = &calls[i];
		atomic_store(&end_count, 0);
		atomic_store(&stop, false);
		atomic_store(&is_over, false);
		sem_init(&semaphore, 0, 0);
		sem_init(&end_joined, 0, 0);
		joined = named_thread_start("joined", wait_to_be_joined);
		waiter = named_thread_start("waiter", wait_until_stop);
		named_thread_await("waiter", calls[i].function);
		check_mark(&calls[i]);
		end_wait(waiter);
		assert_true(atomic_load(&is_unmarked));
		assert_true(atomic_load(&end_count) > 0);
		pthread_join(waiter, NULL);
		if (calls[i].wait != do_pthread_join)
			pthread_join(joined, NULL);
	}
	close(epoll_fd);
	probe_wait_unsubscribe(&to_any_end);
}

/* ---- listeners ---- */

static atomic_int told_count[PROBE_WAIT_KINDS];
static _Atomic(int64_t) told_ns;

/* Does what it must not be able to spoil. */
static void on_wait_end(const struct probe_wait *wait, int64_t now_ns)
{
	atomic_fetch_add(&told_count[wait->call->kind], 1);
	atomic_store(&told_ns, now_ns - wait->since_ns);
	errno = EXDEV;
}

static int told_total(void)
{
	int total = 0;

	for (int kind = 0; kind < PROBE_WAIT_KINDS; kind++)
		total += atomic_load(&told_count[kind]);
	return total;
}

static int forget_told(void **state)
{
	(void)state;
	for (int kind = 0; kind < PROBE_WAIT_KINDS; kind++)
		atomic_store(&told_count[kind], 0);
	return 0;
}

static void test_errno_is_the_calls(void **state)
{
	struct timespec until = soon();
	int64_t start_ns = clock_monotonic_ns();

	(void)state;
	sem_init(&semaphore, 0, 1);
	errno = ENOTTY;
	assert_int_equal(sem_wait(&semaphore), 0);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(sem_timedwait(&semaphore, &until), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_int_equal(atomic_load(&told_count[PROBE_WAIT_SEMAPHORE]), 2);
	assert_in_range(atomic_load(&told_ns), SHORT_NS / 2, clock_monotonic_ns() - start_ns);
}

static void poll_nothing(void)
{
	assert_int_equal(poll(NULL, 0, 1), 0);
}

static void test_a_listener_hears_its_kinds_alone(void **state)
{
	(void)state;
	poll_nothing();
	assert_int_equal(usleep(1), 0);
	assert_int_equal(told_total(), 0);
}

static void test_listeners_come_and_go(void **state)
{
	static const struct probe_wait_listener more[] = {
		{1U << PROBE_WAIT_IO, on_wait_end, NULL},
		{1U << PROBE_WAIT_IO | 1U << PROBE_WAIT_TIME, on_wait_end, NULL},
		{PROBE_WAITS_ALL, on_wait_end, NULL},
	};
	/* In any order, and more often than there is room for at once. */
	for (int round = 0; round < PROBE_WAIT_LISTENERS_MAX; round++) {
		for (int i = 0; i < 3; i++)
			probe_wait_subscribe(&more[(round + i) % 3]);
		forget_told(state);
		poll_nothing();
		assert_int_equal(told_total(), 3);
		probe_wait_unsubscribe(&more[0]);
		usleep(1);
		assert_int_equal(told_total(), 5);
		probe_wait_unsubscribe(&more[2]);
		poll_nothing();
		assert_int_equal(told_total(), 6);
		probe_wait_unsubscribe(&more[1]);
		poll_nothing();
		usleep(1);
		assert_int_equal(told_total(), 6);
	}
}

static const void *marked_object(void)
{
	const struct wait_mark *mark = &probe_thread_self()->wait_mark;

	assert_int_equal(atomic_load(&probe_thread_self()->wait_changes) % 2, 0);
	return mark->wait.call ? mark->wait.object : NULL;
}

/* Stacks grow down: the frame of a wait within a wait is the lower one. */
static void test_nested_waits_show_the_inner_one_first(void **state)
{
	static const struct probe_wait_call outer_call = {"outer", "", PROBE_WAIT_COND};
	static const struct probe_wait_call inner_call = {"inner", "", PROBE_WAIT_SEMAPHORE};
	struct wait_frame frames[2], *inner = &frames[0], *outer = &frames[1];

	(void)state;
	outer->mark.anchor.words[ANCHOR_SP] = (uintptr_t)outer;
	inner->mark.anchor.words[ANCHOR_SP] = (uintptr_t)inner;
	wait_begin(outer, &outer_call, &outer);
	assert_ptr_equal(marked_object(), &outer);
	wait_begin(inner, &inner_call, &inner);
	assert_ptr_equal(marked_object(), &inner);
	wait_end(inner);
	assert_ptr_equal(marked_object(), &outer);
	assert_int_equal(told_total(), 1);
	wait_end(outer);
	assert_null(marked_object());
	assert_int_equal(told_total(), 2);
}

/* As a handler does that leaves a wait by longjmp(). */
static void test_a_wait_that_was_jumped_out_of_is_forgotten(void **state)
{
	static const struct probe_wait_call call = {"call", "", PROBE_WAIT_IO};
	struct wait_frame frames[2], *left = &frames[0], *next = &frames[1];

	(void)state;
	left->mark.anchor.words[ANCHOR_SP] = (uintptr_t)left;
	next->mark.anchor.words[ANCHOR_SP] = (uintptr_t)next;
	wait_begin(left, &call, &left);
	wait_begin(next, &call, &next);
	assert_ptr_equal(marked_object(), &next);
	wait_end(next);
	assert_null(marked_object());
}

/* A handler that waits while its thread is just marking: no mark is better than a torn one. */
static void test_a_mark_that_is_being_written_is_left_alone(void **state)
{
	static const struct probe_wait_call call = {"call", "", PROBE_WAIT_IO};
	struct wait_frame frame;

	(void)state;
	atomic_fetch_add(&probe_thread_self()->wait_changes, 1);
	wait_begin(&frame, &call, &frame);
	assert_false(frame.is_marked);
	wait_end(&frame);
	atomic_fetch_sub(&probe_thread_self()->wait_changes, 1);
	assert_null(marked_object());
}

static void wait_shortly(void)
{
	struct timespec until = soon();

	while (sem_timedwait(&semaphore, &until) != 0 && errno == EINTR)
		;
}

static void observe_and_wait(void)
{
	probe_thread_observe();
	sem_wait(&semaphore);
}

static void test_observers_are_nobodys_business(void **state)
{
	struct read_dump dump;
	pthread_t observer;

	(void)state;
	sem_init(&semaphore, 0, 0);
	observer = named_thread_start("observer", observe_and_wait);
	named_thread_await("observer", "sem_wait");
	dump = read_dump_take(PROBE_DUMP_ALL);
	assert_null(visit_thread(read_dump_named(&dump, "observer")->tid).call);
	read_dump_free(&dump);
	sem_post(&semaphore);
	pthread_join(observer, NULL);
	/* But this thread's wait for that one's end is. */
	assert_int_equal(atomic_load(&told_count[PROBE_WAIT_THREAD]), 1);
	probe_observe_begin();
	wait_shortly();
	probe_observe_end();
	assert_int_equal(told_total(), 1);
	wait_shortly();
	assert_int_equal(told_total(), 2);
}

static int set_up(void **state)
{
	static const struct probe_wait_listener listener = {
		PROBE_WAITS_FOR_THREADS, on_wait_end, NULL};

	(void)state;
	probe_thread_init();
	probe_wait_subscribe(&listener);
	return modules_init();
}

#define TEST(name) cmocka_unit_test_setup(name, forget_told)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_call_marks_and_unmarks_and_tells),
		TEST(test_errno_is_the_calls),
		TEST(test_a_listener_hears_its_kinds_alone),
		TEST(test_listeners_come_and_go),
		TEST(test_nested_waits_show_the_inner_one_first),
		TEST(test_a_wait_that_was_jumped_out_of_is_forgotten),
		TEST(test_a_mark_that_is_being_written_is_left_alone),
		TEST(test_observers_are_nobodys_business),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
