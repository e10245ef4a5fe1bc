/* The signal of a dump: who blocks it, and what it interrupts. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/dump.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define CROWD 300

static sem_t ready, go, unblocked;
static int go_fds[2];

static void init_semaphores(void)
{
	sem_init(&ready, 0, 0);
	sem_init(&go, 0, 0);
	sem_init(&unblocked, 0, 0);
}

static void block_dump_signal(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGURG);
	pthread_sigmask(how, &signals, NULL);
}

/* ---- threads that block it ---- */

/* In a call that is not interposed, so that the dump has to ask by signal. */
static TEST_FRAME void read_go(void)
{
	char byte;

	assert_int_equal(read(go_fds[0], &byte, 1), 1);
}

static void write_go(void)
{
	assert_int_equal(write(go_fds[1], "x", 1), 1);
}

static TEST_FRAME void refuse_signals(void)
{
	block_dump_signal(SIG_BLOCK);
	sem_post(&ready);
	read_go();
	/* Here all the signals of dumps that are over arrive. */
	block_dump_signal(SIG_UNBLOCK);
	sem_post(&unblocked);
	read_go();
}

static void test_who_blocks_the_signal_is_told_at_once(void **state)
{
	const struct probe_dumped *thread;
	struct read_dump dump;
	pthread_t blocker;

	(void)state;
	init_semaphores();
	blocker = named_thread_start("blocker", refuse_signals);
	sem_wait(&ready);
	for (int i = 0; i < 3; i++) {
		dump = read_dump_take(PROBE_DUMP_ALL);
		thread = read_dump_named(&dump, "blocker");
		assert_int_equal(thread->answer, PROBE_BLOCKS_SIGNAL);
		assert_int_equal(thread->pc_count, 0);
		assert_true(thread->number > 0 && thread->created_by_pc != 0);
		assert_true(dump.taken_ns < 150 * CLOCK_NS_PER_MS);
		read_dump_free(&dump);
	}
	write_go();
	sem_wait(&unblocked);
	dump = read_dump_take(PROBE_DUMP_ALL);
	thread = read_dump_named(&dump, "blocker");
	assert_int_equal(thread->answer, PROBE_ANSWERED);
	assert_true(read_dump_has_frame(thread, "refuse_signals"));
	read_dump_free(&dump);
	write_go();
	pthread_join(blocker, NULL);
}

static void test_a_crowd_that_blocks_the_signal_is_told_quickly(void **state)
{
	size_t before = probe_thread_count(), count = 0;
	pthread_t crowd[CROWD];
	struct read_dump dump;

	(void)state;
	init_semaphores();
	block_dump_signal(SIG_BLOCK);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = named_thread_start("crowd", read_go);
	block_dump_signal(SIG_UNBLOCK);
	while (probe_thread_count() < before + CROWD)
		sched_yield();
	dump = read_dump_take(PROBE_DUMP_ALL);
	assert_int_equal(dump.count, before + CROWD);
	for (size_t i = 0; i < dump.count; i++)
		count += dump.threads[i].answer == PROBE_BLOCKS_SIGNAL;
	assert_int_equal(count, CROWD);
	assert_true(dump.taken_ns < 1200 * CLOCK_NS_PER_MS);
	print_message(
		"%d who block it: %lld ms\n", CROWD, (long long)(dump.taken_ns / CLOCK_NS_PER_MS));
	read_dump_free(&dump);
	for (int i = 0; i < CROWD; i++)
		write_go();
	for (int i = 0; i < CROWD; i++)
		pthread_join(crowd[i], NULL);
}

/* ---- the program's waits ---- */

static int pipe_fds[2], socket_fds[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static bool has_come;
static atomic_int interrupted_count, ended_count;

/* What a wait gave: nothing but success counts. */
static void assert_uninterrupted(bool is_good)
{
	if (!is_good)
		atomic_fetch_add(&interrupted_count, 1);
	atomic_fetch_add(&ended_count, 1);
}

static void wait_to_read(void)
{
	char byte;

	assert_uninterrupted(read(pipe_fds[0], &byte, 1) == 1);
}

static void wait_to_receive(void)
{
	char byte;

	assert_uninterrupted(recv(socket_fds[0], &byte, 1, 0) == 1);
}

static void wait_for_semaphore(void)
{
	assert_uninterrupted(sem_wait(&go) == 0);
}

static void wait_for_cond(void)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	while (!has_come && err == 0)
		err = pthread_cond_wait(&came, &lock);
	pthread_mutex_unlock(&lock);
	assert_uninterrupted(err == 0);
}

static void wait_for_mutex(void)
{
	int err = pthread_mutex_lock(&held);

	assert_uninterrupted(err == 0);
	pthread_mutex_unlock(&held);
}

static void end_waits(void)
{
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	assert_int_equal(send(socket_fds[1], "x", 1, 0), 1);
	sem_post(&go);
	pthread_mutex_lock(&lock);
	has_come = true;
	pthread_cond_signal(&came);
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&held);
}

/* Until all WORKERS are in the kernel: read and recv leave no mark. */
static void await_system_calls(const char *const *names, size_t count)
{
	for (size_t in_call = 0; in_call < count;) {
		struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);

		in_call = 0;
		for (size_t i = 0; i < count; i++) {
			const struct probe_dumped *thread = read_dump_named(&dump, names[i]);

			in_call += thread && thread->in_system_call;
		}
		read_dump_free(&dump);
	}
}

static void test_no_restartable_wait_fails(void **state)
{
	static const char *const names[] = {"read", "recv", "semaphore", "cond", "mutex"};
	static void (*const bodies[])(void) = {
		wait_to_read, wait_to_receive, wait_for_semaphore, wait_for_cond, wait_for_mutex};
	pthread_t threads[5];

	(void)state;
	init_semaphores();
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds), 0);
	pthread_mutex_lock(&held);
	for (int i = 0; i < 5; i++)
		threads[i] = named_thread_start(names[i], bodies[i]);
	await_system_calls(names, 5);
	for (int i = 0; i < 200; i++) {
		struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);

		read_dump_free(&dump);
	}
	assert_int_equal(atomic_load(&ended_count), 0);
	end_waits();
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&ended_count), 5);
	assert_int_equal(atomic_load(&interrupted_count), 0);
	for (int i = 0; i < 2; i++) {
		close(pipe_fds[i]);
		close(socket_fds[i]);
	}
}

/* ---- waits that are interposed: no signal at all ---- */

#define UNDISTURBED_MS 1000
static const struct timespec undisturbed_time = {.tv_sec = UNDISTURBED_MS / 1000};

static void wait_in_nanosleep(void)
{
	assert_uninterrupted(nanosleep(&undisturbed_time, NULL) == 0);
}

static void wait_in_poll(void)
{
	assert_uninterrupted(poll(NULL, 0, UNDISTURBED_MS) == 0);
}

static void wait_in_epoll(void)
{
	struct epoll_event event;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	assert_uninterrupted(epoll_wait(fd, &event, 1, UNDISTURBED_MS) == 0);
	close(fd);
}

static void wait_in_sem_timedwait(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	assert_uninterrupted(sem_timedwait(&go, &until) == -1 && errno == ETIMEDOUT);
}

static void count_marked(struct probe_thread *thread, void *context)
{
	*(int *)context += thread->wait_mark.wait.call != NULL;
}

static void test_interposed_waits_are_not_disturbed(void **state)
{
	static void (*const bodies[])(void) = {
		wait_in_nanosleep, wait_in_poll, wait_in_epoll, wait_in_sem_timedwait};
	pthread_t threads[4];
	int marked_count = 0;

	(void)state;
	init_semaphores();
	atomic_store(&ended_count, 0);
	atomic_store(&interrupted_count, 0);
	for (int i = 0; i < 4; i++)
		threads[i] = named_thread_start("waiter", bodies[i]);
	while (marked_count < 4 && atomic_load(&ended_count) == 0) {
		marked_count = 0;
		probe_thread_for_each(count_marked, &marked_count);
	}
	assert_int_equal(marked_count, 4);
	/* Until the first wait ends; from then on there is something to ask by signal. */
	while (atomic_load(&ended_count) == 0) {
		struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);

		read_dump_free(&dump);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&interrupted_count), 0);
}

static int set_up(void **state)
{
	(void)state;
	if (pipe(go_fds) != 0)
		return -1;
	probe_thread_init();
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_blocks_the_signal_is_told_at_once),
		cmocka_unit_test(test_a_crowd_that_blocks_the_signal_is_told_quickly),
		cmocka_unit_test(test_no_restartable_wait_fails),
		cmocka_unit_test(test_interposed_waits_are_not_disturbed),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
