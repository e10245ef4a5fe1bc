/* Who opened a descriptor and where, as others open and close beside. */
#include "../support/read_dump.h"
#include "../support/fds.h"
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/fd.h"
#include "probe/thread.h"

static struct probe_fd read_open(int fd)
{
	struct probe_fd seen;

	assert_true(probe_fd_read(fd, &seen));
	return seen;
}

static bool is_open(int fd)
{
	struct probe_fd seen;

	return probe_fd_read(fd, &seen);
}

static void close_it(int fd)
{
	assert_int_equal(close(fd), 0);
	assert_false(is_open(fd));
}

/* ---- who opened it, and where ---- */

static TEST_FRAME int open_here(void)
{
	return open("/dev/null", O_RDONLY);
}

static TEST_FRAME int open_there(void)
{
	int fd = open_here();

	return fd;
}

static bool has_leaf(const struct probe_fd *seen, const char *leaf, const char *caller)
{
	return seen->stack && seen->stack->pc_count > 2 && seen->stack->pcs[0] == seen->pc &&
	       strcmp(read_dump_function(seen->stack->pcs[0]), leaf) == 0 &&
	       strcmp(read_dump_function(seen->stack->pcs[1]), caller) == 0;
}

static void test_the_stack_begins_at_the_caller(void **state)
{
	int fd = open_there(), fds[2];
	struct probe_fd seen;

	(void)state;
	assert_string_equal(read_dump_function(read_open(fd).pc), "open_here");
	probe_fd_flush();
	seen = read_open(fd);
	assert_true(has_leaf(&seen, "open_here", "open_there"));
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(dup2(fds[0], fd), fd);
	probe_fd_flush();
	seen = read_open(fds[1]);
	assert_string_equal(read_dump_function(seen.stack->pcs[0]), __func__);
	seen = read_open(fd);
	assert_string_equal(read_dump_function(seen.stack->pcs[0]), __func__);
	close_it(fd);
	close_it(fds[0]);
	close_it(fds[1]);
}

/* Those of observers get no stack of their own: one that came would be another's, late. */
static void test_a_late_stack_does_not_land_on_another(void **state)
{
	struct probe_fd seen;
	int first, second;

	(void)state;
	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 50; k++) {
			first = open_there();
			close_it(first);
		}
		probe_observe_begin();
		second = open_there();
		probe_observe_end();
		assert_int_equal(second, first);
		probe_fd_flush();
		seen = read_open(second);
		assert_null(seen.stack);
		close_it(second);
	}
}

static void *open_as_observer(void *arg)
{
	probe_thread_observe();
	*(int *)arg = open_there();
	return NULL;
}

static void test_observers_are_kept_apart(void **state)
{
	struct probe_fd seen;
	pthread_t thread;
	int fds[2];

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, open_as_observer, &fds[0]), 0);
	pthread_join(thread, NULL);
	probe_observe_begin();
	fds[1] = open_there();
	probe_observe_end();
	probe_fd_flush();
	for (int i = 0; i < 2; i++) {
		seen = read_open(fds[i]);
		assert_true(seen.observer);
		assert_null(seen.stack);
		close_it(fds[i]);
	}
}

/* ---- where open() and close() may be called ---- */

static int handlers_fd, closed_by_handler;

static void open_and_close(int signal)
{
	(void)signal;
	handlers_fd = open_here();
	close(closed_by_handler);
}

static void test_a_handler_opens_and_closes(void **state)
{
	const struct sigaction action = {.sa_handler = open_and_close};
	struct probe_fd seen;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	closed_by_handler = open_here();
	errno = ENOTTY;
	raise(SIGUSR1);
	assert_int_equal(errno, ENOTTY);
	assert_false(is_open(closed_by_handler));
	probe_fd_flush();
	seen = read_open(handlers_fd);
	assert_true(has_leaf(&seen, "open_here", "open_and_close"));
	close_it(handlers_fd);
}

/* What a child closes is open in its parent, and it can go on opening. */
static void test_a_child_has_a_list_of_its_own(void **state)
{
	int fd = open_here(), status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		bool right = is_open(fd) && close(fd) == 0 && !is_open(fd);

		for (int i = 0; i < 2000; i++)
			right = right && open_here() == fd && is_open(fd) && close(fd) == 0;
		_exit(right ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(is_open(fd));
	close_it(fd);
}

/* ---- many at once ---- */

#define HAMMERS 4

static atomic_bool stop;
static atomic_int opened_count, fault_count;
static uintptr_t file_pc, counter_pc; /* where each is opened */

static TEST_FRAME int open_counter(void)
{
	return eventfd(0, 0);
}

/* Whether what was read is all of one opening. */
static bool is_whole(const struct probe_fd *seen)
{
	return seen->pc == (seen->kind == PROBE_FD_FILE ? file_pc : counter_pc) &&
	       (!seen->stack || seen->stack->pcs[0] == seen->pc);
}

/* Files and counters in turn, which mostly get the same number. */
static void *hammer(void *arg)
{
	struct probe_fd seen;

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		int fd = i % 2 ? open_counter() : open_here();

		if (!probe_fd_read(fd, &seen) || !is_whole(&seen) || seen.tid != gettid() ||
			seen.kind != (i % 2 ? PROBE_FD_EVENTFD : PROBE_FD_FILE))
			atomic_fetch_add(&fault_count, 1);
		atomic_fetch_add(&opened_count, 1);
		close(fd);
	}
	return arg;
}

static uintptr_t pc_of(int fd)
{
	uintptr_t pc = read_open(fd).pc;

	close_it(fd);
	return pc;
}

/* As many as hammer, so that they are interrupted while they read. */
static void *read_meanwhile(void *first)
{
	struct probe_fd seen;

	while (!atomic_load(&stop))
		for (int i = 0; i < HAMMERS; i++)
			if (probe_fd_read((int)(intptr_t)first + i, &seen) && !is_whole(&seen))
				atomic_fetch_add(&fault_count, 1);
	return first;
}

static void test_who_reads_meanwhile_sees_whole_entries(void **state)
{
	int wanted = test_is_stress() ? 5000000 : 100000, first = open_here();
	pthread_t hammers[HAMMERS], readers[HAMMERS];

	(void)state;
	file_pc = pc_of(first);
	counter_pc = pc_of(open_counter());
	for (int i = 0; i < HAMMERS; i++) {
		pthread_create(&hammers[i], NULL, hammer, NULL);
		pthread_create(&readers[i], NULL, read_meanwhile, (void *)(intptr_t)first);
	}
	while (atomic_load(&opened_count) < wanted)
		probe_fd_flush();
	atomic_store(&stop, true);
	for (int i = 0; i < HAMMERS; i++) {
		pthread_join(hammers[i], NULL);
		pthread_join(readers[i], NULL);
	}
	assert_int_equal(atomic_load(&fault_count), 0);
	for (int i = 0; i < HAMMERS; i++)
		assert_false(is_open(first + i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_stack_begins_at_the_caller),
		cmocka_unit_test(test_a_late_stack_does_not_land_on_another),
		cmocka_unit_test(test_observers_are_kept_apart),
		cmocka_unit_test(test_a_handler_opens_and_closes),
		cmocka_unit_test(test_a_child_has_a_list_of_its_own),
		cmocka_unit_test(test_who_reads_meanwhile_sees_whole_entries),
	};

	return cmocka_run_group_tests(tests, fds_set_up, NULL);
}
