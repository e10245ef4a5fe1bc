/* What a dump says of threads that wait each in another way. test_dump_signal.c has the signal's. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/dump.h"
#include "probe/modules.h"
#include "probe/thread.h"

/* ---- threads that wait, each in another way ---- */

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_came = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t account = PTHREAD_MUTEX_INITIALIZER;
static sem_t ticket;
static int epoll_fd;
static atomic_bool stop;

static TEST_FRAME void wait_for_work(void)
{
	pthread_mutex_lock(&work_lock);
	while (!atomic_load(&stop))
		pthread_cond_wait(&work_came, &work_lock);
	pthread_mutex_unlock(&work_lock);
}

static TEST_FRAME void wait_for_account(void)
{
	pthread_mutex_lock(&account);
	pthread_mutex_unlock(&account);
}

static TEST_FRAME void wait_for_ticket(void)
{
	while (sem_wait(&ticket) != 0)
		;
}

static TEST_FRAME void sleep_long(void)
{
	while (!atomic_load(&stop))
		nanosleep(&(struct timespec){.tv_sec = 1000}, NULL);
}

static TEST_FRAME void wait_for_event(void)
{
	struct epoll_event event;

	while (!atomic_load(&stop))
		epoll_wait(epoll_fd, &event, 1, -1);
}

static TEST_FRAME void spin(void)
{
	while (!atomic_load(&stop))
		;
}

static struct worker {
	const char *name;
	void (*body)(void);
	const char *function; /* the body's name */
	const char *call;     /* NULL: it does not wait */
	const void *object;   /* what it waits for */
	pthread_t thread;
} workers[] = {
	{"cond", wait_for_work, "wait_for_work", "pthread_cond_wait", &work_came, 0},
	{"mutex", wait_for_account, "wait_for_account", "pthread_mutex_lock", &account, 0},
	{"semaphore", wait_for_ticket, "wait_for_ticket", "sem_wait", &ticket, 0},
	{"sleeper", sleep_long, "sleep_long", "nanosleep", NULL, 0},
	{"epoll", wait_for_event, "wait_for_event", "epoll_wait", NULL, 0},
	{"spinner", spin, "spin", NULL, NULL, 0},
};
#define WORKER_COUNT (sizeof(workers) / sizeof(workers[0]))

static TEST_FRAME void lock_account(void)
{
	pthread_mutex_lock(&account);
}

static void on_nudge(int signal)
{
	(void)signal;
}

static int start_workers(void **state)
{
	const struct sigaction nudge = {.sa_handler = on_nudge};

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &nudge, NULL), 0);
	atomic_store(&stop, false);
	sem_init(&ticket, 0, 0);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	lock_account();
	for (size_t i = 0; i < WORKER_COUNT; i++)
		workers[i].thread = named_thread_start(workers[i].name, workers[i].body);
	for (size_t i = 0; i < WORKER_COUNT; i++)
		named_thread_await(workers[i].name, workers[i].call);
	return 0;
}

static int stop_workers(void **state)
{
	(void)state;
	pthread_mutex_lock(&work_lock);
	atomic_store(&stop, true);
	pthread_cond_broadcast(&work_came);
	pthread_mutex_unlock(&work_lock);
	pthread_mutex_unlock(&account);
	sem_post(&ticket);
	/* A dump disturbs no sleep; this does. */
	while (probe_thread_count() > 1) {
		for (size_t i = 0; i < WORKER_COUNT; i++)
			pthread_kill(workers[i].thread, SIGUSR1);
		sched_yield();
	}
	for (size_t i = 0; i < WORKER_COUNT; i++)
		pthread_join(workers[i].thread, NULL);
	close(epoll_fd);
	sem_destroy(&ticket);
	return 0;
}

static void assert_waits(const struct probe_dumped *thread, const struct worker *worker)
{
	if (!worker->call) {
		assert_null(thread->wait.call);
		assert_false(thread->in_system_call);
		return;
	}
	assert_non_null(thread->wait.call);
	assert_string_equal(thread->wait.call->function, worker->call);
	assert_ptr_equal(thread->wait.object, worker->object);
	assert_true(thread->wait.since_ns > 0 && thread->wait.since_ns < thread->time_ns);
	assert_true(thread->in_system_call);
	assert_true(read_dump_has_frame(thread, worker->call));
}

static void test_every_thread_says_what_it_does(void **state)
{
	struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);

	(void)state;
	for (size_t i = 0; i < WORKER_COUNT; i++) {
		const struct probe_dumped *thread = read_dump_named(&dump, workers[i].name);

		assert_non_null(thread);
		assert_int_equal(thread->answer, PROBE_ANSWERED);
		assert_true(read_dump_has_frame(thread, workers[i].function));
		assert_true(read_dump_has_frame(thread, "probe_thread_main"));
		assert_false(thread->truncated);
		assert_false(thread->observer);
		assert_string_equal(
			read_dump_function(thread->created_by_pc), "named_thread_start");
		assert_waits(thread, &workers[i]);
	}
	read_dump_free(&dump);
}

static void test_every_thread_once_oldest_first_and_the_requester(void **state)
{
	struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);
	const struct probe_dumped *self = read_dump_tid(&dump, gettid());

	(void)state;
	/* The kernel may not be rid of an earlier test's threads yet: such come last. */
	while (dump.threads[dump.count - 1].answer == PROBE_UNLISTED)
		dump.count--;
	assert_int_equal(dump.count, probe_thread_count());
	for (size_t i = 0; i < dump.count; i++) {
		assert_int_equal(dump.threads[i].answer, PROBE_ANSWERED);
		assert_ptr_equal(read_dump_tid(&dump, dump.threads[i].tid), &dump.threads[i]);
		assert_true(i == 0 || dump.threads[i].number > dump.threads[i - 1].number);
	}
	assert_non_null(self);
	assert_int_equal(self->number, probe_thread_self()->number);
	assert_null(self->wait.call);
	assert_false(self->in_system_call);
	assert_true(
		read_dump_has_frame(self, "test_every_thread_once_oldest_first_and_the_requester"));
	assert_true(read_dump_has_frame(self, "main"));
	read_dump_free(&dump);
}

static void test_waited_time_grows_with_the_clock(void **state)
{
	struct read_dump first = read_dump_take(PROBE_DUMP_ALL), second;
	static const char *const names[] = {"cond", "mutex", "semaphore"};

	(void)state;
	nanosleep(&(struct timespec){.tv_nsec = 50 * CLOCK_NS_PER_MS}, NULL);
	second = read_dump_take(PROBE_DUMP_ALL);
	for (size_t i = 0; i < 3; i++) {
		const struct probe_dumped *a = read_dump_named(&first, names[i]);
		const struct probe_dumped *b = read_dump_named(&second, names[i]);

		/* It was not woken by the dump: still the same wait. */
		assert_int_equal(a->wait.since_ns, b->wait.since_ns);
		assert_true(b->time_ns - a->time_ns >= 50 * CLOCK_NS_PER_MS);
		assert_true(b->time_ns - a->time_ns <= 50 * CLOCK_NS_PER_MS + first.taken_ns +
							       second.taken_ns + CLOCK_NS_PER_SEC);
	}
	read_dump_free(&first);
	read_dump_free(&second);
}

static void test_the_holder_of_a_mutex_and_its_line(void **state)
{
	struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);
	const struct probe_dumped *thread = read_dump_named(&dump, "mutex");

	(void)state;
	assert_int_equal(thread->mutex_owner, gettid());
	assert_string_equal(
		read_dump_function(probe_locked_at(thread->mutex_owner, thread->wait.object)),
		"lock_account");
	assert_int_equal(probe_locked_at(thread->tid, &account), 0);
	assert_int_equal(read_dump_named(&dump, "cond")->mutex_owner, 0);
	read_dump_free(&dump);
}

/* ---- threads past pthread_create, and those who do not count ---- */

static atomic_int raw_tid; /* 0 again, and woken, when the thread has ended */
static atomic_int raw_word;
static _Alignas(16) char raw_stack[64 * 1024];

/* It has nothing of libc's: it borrows its creator's thread-local storage, and must not touch it. */
__attribute__((no_sanitize("address", "undefined", "thread"))) static int raw_main(void *arg)
{
	(void)arg;
	syscall(SYS_prctl, PR_SET_NAME, "raw");
	atomic_store(&raw_word, 1);
	syscall(SYS_futex, &raw_word, FUTEX_WAKE, 1, NULL, NULL, 0);
	while (atomic_load(&raw_word) == 1)
		syscall(SYS_futex, &raw_word, FUTEX_WAIT, 1, NULL, NULL, 0);
	return 0;
}

static void await_change(atomic_int *word, int value)
{
	while (atomic_load(word) == value)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void test_a_raw_clone_is_unlisted(void **state)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	const struct probe_dumped *raw;
	struct read_dump dump;
	int tid;

	(void)state;
	atomic_store(&raw_word, 0);
	tid = clone(raw_main, raw_stack + sizeof(raw_stack), flags, NULL, (pid_t *)&raw_tid, NULL,
		(pid_t *)&raw_tid);
	assert_true(tid > 0);
	await_change(&raw_word, 0);

	dump = read_dump_take(PROBE_DUMP_ALL);
	raw = read_dump_tid(&dump, tid);
	assert_non_null(raw);
	assert_int_equal(raw->answer, PROBE_UNLISTED);
	assert_string_equal(raw->name, "raw");
	assert_int_equal(raw->number, 0);
	assert_int_equal(raw->pc_count, 0);
	assert_int_equal(dump.count, probe_thread_count() + 1);
	read_dump_free(&dump);

	dump = read_dump_take(PROBE_DUMP_PROGRAM);
	assert_null(read_dump_tid(&dump, tid));
	read_dump_free(&dump);

	atomic_store(&raw_word, 2);
	syscall(SYS_futex, &raw_word, FUTEX_WAKE, 1, NULL, NULL, 0);
	await_change(&raw_tid, tid);
}

static void watch(void)
{
	probe_thread_observe();
	wait_for_ticket();
}

static void test_the_programs_dump_leaves_out_observers(void **state)
{
	struct read_dump all, program;
	pthread_t watcher;

	(void)state;
	sem_init(&ticket, 0, 0);
	watcher = named_thread_start("watcher", watch);
	named_thread_await("watcher", "sem_wait");
	all = read_dump_take(PROBE_DUMP_ALL);
	program = read_dump_take(PROBE_DUMP_PROGRAM);
	assert_true(read_dump_named(&all, "watcher")->observer);
	assert_null(read_dump_named(&program, "watcher"));
	assert_non_null(read_dump_tid(&program, gettid()));
	read_dump_free(&all);
	read_dump_free(&program);
	sem_post(&ticket);
	pthread_join(watcher, NULL);
}

/* ---- who made them ---- */

static TEST_FRAME pthread_t hire(void)
{
	pthread_t thread = named_thread_start("hired", wait_for_ticket);

	return thread;
}

/* Runs after all others: births are watched for good. */
static void test_creators_are_known_by_their_stacks(void **state)
{
	pthread_t thread;
	struct read_dump dump;
	const struct depot_stack *creator;

	(void)state;
	assert_int_equal(probe_births_start(), 0);
	sem_init(&ticket, 0, 0);
	thread = hire();
	named_thread_await("hired", "sem_wait");
	probe_births_flush();
	dump = read_dump_take(PROBE_DUMP_ALL);
	creator = read_dump_named(&dump, "hired")->created_by;
	assert_non_null(creator);
	assert_string_equal(read_dump_function(creator->pcs[0]), "named_thread_start");
	assert_string_equal(read_dump_function(creator->pcs[1]), "hire");
	assert_string_equal(
		read_dump_function(creator->pcs[2]), "test_creators_are_known_by_their_stacks");
	assert_null(read_dump_tid(&dump, getpid())->created_by);
	read_dump_free(&dump);
	sem_post(&ticket);
	pthread_join(thread, NULL);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return modules_init();
}

#define WITH_WORKERS(test) cmocka_unit_test_setup_teardown(test, start_workers, stop_workers)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORKERS(test_every_thread_says_what_it_does),
		WITH_WORKERS(test_every_thread_once_oldest_first_and_the_requester),
		WITH_WORKERS(test_waited_time_grows_with_the_clock),
		WITH_WORKERS(test_the_holder_of_a_mutex_and_its_line),
		cmocka_unit_test(test_a_raw_clone_is_unlisted),
		cmocka_unit_test(test_the_programs_dump_leaves_out_observers),
		cmocka_unit_test(test_creators_are_known_by_their_stacks),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
