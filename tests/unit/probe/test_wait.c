/* Every call of waits.def marks its thread while it waits, and is told of as it ends. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "probe/modules.h"
#include "probe/thread.h"
#include "probe/wait.h"

static struct timespec far_off(clockid_t clock)
{
	struct timespec until;

	clock_gettime(clock, &until);
	until.tv_sec += 1000;
	return until;
}

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

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_call_marks_and_unmarks_and_tells),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
