/* Whose system calls are told, and what listening does to the program: nothing. */
#include "../support/read_dump.h"
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "common/clock.h"
#include "probe/modules.h"
#include "probe/syscall.h"
#include "probe/thread.h"

#define AWAIT_NS (10 * CLOCK_NS_PER_SEC)

/* ---- what was told ---- */

static atomic_int told_count;
static atomic_int fault_count; /* of what was told, things that cannot be */
static _Atomic(const char *) told_function;
static _Atomic(int64_t) told_result;
static atomic_int told_fd;
static atomic_bool has_path;
static atomic_bool wants = true;

/* Both call what is interposed, and spoil errno. */
static bool is_wanted(void)
{
	dup(-1);
	errno = EXDEV;
	return atomic_load(&wants);
}

static void on_end(const struct probe_syscall *call)
{
	dup(-1);
	if (call->begin_ns <= 0 || call->end_ns < call->begin_ns)
		atomic_fetch_add(&fault_count, 1);
	atomic_store(&told_function, call->call->function);
	atomic_store(&told_fd, call->fd);
	atomic_store(&told_result, call->result);
	atomic_store(&has_path, call->path != NULL);
	atomic_fetch_add(&told_count, 1);
	errno = EXDEV;
}

static const struct probe_syscall_listener listener = {is_wanted, on_end};

static int begin_listening(void **state)
{
	(void)state;
	atomic_store(&told_count, 0);
	atomic_store(&fault_count, 0);
	probe_syscall_listen(&listener);
	return 0;
}

static int end_listening(void **state)
{
	(void)state;
	probe_syscall_listen(NULL);
	return atomic_load(&fault_count);
}

/* ---- who is told ---- */

static void test_who_listens_is_not_told_of_itself(void **state)
{
	(void)state;
	assert_int_equal(dup(-1), -1);
	assert_int_equal(atomic_load(&told_count), 1);
	assert_string_equal(atomic_load(&told_function), "dup");
}

static void test_nobody_listens(void **state)
{
	(void)state;
	atomic_store(&wants, false);
	assert_int_equal(dup(-1), -1);
	atomic_store(&wants, true);
	probe_syscall_listen(NULL);
	assert_int_equal(dup(-1), -1);
	assert_int_equal(atomic_load(&told_count), 0);
}

static void *observer_main(void *arg)
{
	probe_thread_observe();
	dup(-1);
	return arg;
}

static void test_observers_are_nobodys_business(void **state)
{
	pthread_t thread;

	(void)state;
	probe_observe_begin();
	dup(-1);
	probe_observe_end();
	assert_int_equal(pthread_create(&thread, NULL, observer_main, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&told_count), 0);
}

/* libz opens the file, not this program. */
static void test_a_librarys_call_is_told(void **state)
{
	gzFile stream = gzopen("/nowhere", "r");

	(void)state;
	assert_null(stream);
	assert_int_equal(atomic_load(&told_count), 1);
	assert_string_equal(atomic_load(&told_function), "open");
	assert_int_equal(atomic_load(&told_result), -ENOENT);
}

#ifndef SICKBAY_SAN
/* tcmalloc takes memory from the kernel while it holds its own locks. */
static void test_a_call_within_malloc_is_told(void **state)
{
	void *memory = malloc(256 << 20);

	(void)state;
	assert_non_null(memory);
	assert_true(atomic_load(&told_count) > 0);
	assert_true(strcmp(atomic_load(&told_function), "mmap") == 0 ||
		    strcmp(atomic_load(&told_function), "sbrk") == 0);
	free(memory);
}

static void test_a_path_that_cannot_be_read_is_not_told(void **state)
{
	const char *volatile nowhere = (const char *)8;

	(void)state;
	assert_int_equal(open(nowhere, O_RDONLY), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(atomic_load(&told_result), -EFAULT);
	assert_false(atomic_load(&has_path));
	/* Refused before the kernel looked at it. */
	assert_int_equal(unlinkat(AT_FDCWD, nowhere, 0xff), -1);
	assert_int_equal(atomic_load(&told_result), -EINVAL);
	assert_false(atomic_load(&has_path));
}

static void test_a_path_at_the_end_of_what_is_mapped_is_told(void **state)
{
	static const char path[] = "/nowhere";
	long page_bytes = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * (size_t)page_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *last = pages + page_bytes - sizeof(path);

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page_bytes, (size_t)page_bytes, PROT_NONE), 0);
	memcpy(last, path, sizeof(path));
	assert_int_equal(open(last, O_RDONLY), -1);
	assert_int_equal(atomic_load(&told_result), -ENOENT);
	assert_true(atomic_load(&has_path));
	munmap(pages, 2 * (size_t)page_bytes);
}
#endif

static int handler_pipe[2];

static void write_in_handler(int signal)
{
	(void)signal;
	(void)!write(handler_pipe[1], "x", 1);
}

static void test_a_handlers_call_is_told(void **state)
{
	const struct sigaction action = {.sa_handler = write_in_handler};

	(void)state;
	assert_int_equal(pipe(handler_pipe), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	raise(SIGUSR1);
	assert_string_equal(atomic_load(&told_function), "write");
	assert_int_equal(atomic_load(&told_result), 1);
	close(handler_pipe[0]);
	close(handler_pipe[1]);
}

/* ---- nothing changes ---- */

static void test_errno_is_the_calls(void **state)
{
	int fd;

	(void)state;
	errno = ENOTTY;
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EBADF);
	errno = ENOTTY;
	assert_int_equal(close(fd), 0);
	assert_int_equal(errno, ENOTTY);
	atomic_store(&wants, false);
	assert_int_equal(dup2(0, 0), 0);
	atomic_store(&wants, true);
	assert_int_equal(errno, ENOTTY);
}

static int empty_pipe[2];

/* No variables in its frame: AddressSanitizer does not see that a cancelled thread's are gone. */
static void *read_for_ever(void *byte)
{
	pthread_setname_np(pthread_self(), "reader");
	return read(empty_pipe[0], byte, 1) == 1 ? byte : NULL;
}

static bool reads(const char *name)
{
	struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);
	const struct probe_dumped *thread = read_dump_named(&dump, name);
	bool answer = thread && thread->in_system_call && read_dump_has_frame(thread, "read");

	read_dump_free(&dump);
	return answer;
}

static void cancel_a_reader(void)
{
	int64_t end_ns = clock_monotonic_ns() + AWAIT_NS;
	void *result = NULL;
	pthread_t thread;
	char byte;

	assert_int_equal(pthread_create(&thread, NULL, read_for_ever, &byte), 0);
	while (!reads("reader"))
		assert_true(clock_monotonic_ns() < end_ns);
	assert_int_equal(pthread_cancel(thread), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
}

static void test_a_cancelled_call_ends(void **state)
{
	(void)state;
	assert_int_equal(pipe(empty_pipe), 0);
	cancel_a_reader();
	assert_string_equal(atomic_load(&told_function), "read");
	assert_int_equal(atomic_load(&told_fd), empty_pipe[0]);
	assert_int_equal(atomic_load(&told_result), -ECANCELED);
	probe_syscall_listen(NULL);
	cancel_a_reader();
	close(empty_pipe[0]);
	close(empty_pipe[1]);
}

/* ---- on and off ---- */

static atomic_bool stop;

/* Returns how many calls did something else than they should. */
static void *hammer(void *arg)
{
	intptr_t bad_count = 0;
	int fds[2];
	char byte;

	(void)arg;
	if (pipe(fds) != 0)
		return (void *)1;
	do {
		errno = 0;
		bad_count += write(fds[1], "x", 1) != 1 || errno != 0;
		bad_count += read(fds[0], &byte, 1) != 1 || byte != 'x' || errno != 0;
		bad_count += close(-1) != -1 || errno != EBADF;
	} while (!atomic_load(&stop));
	close(fds[0]);
	close(fds[1]);
	return (void *)bad_count;
}

static void test_switching_while_others_call(void **state)
{
	int rounds = test_is_stress() ? 2000000 : 50000;
	pthread_t threads[4];
	void *bad_count;

	(void)state;
	atomic_store(&stop, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	for (int i = 0; i < rounds || atomic_load(&told_count) < 1000; i++)
		probe_syscall_listen(i % 2 ? &listener : NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &bad_count);
		assert_null(bad_count);
	}
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return modules_init();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_listening, end_listening)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_listens_is_not_told_of_itself),
		TEST(test_nobody_listens),
		TEST(test_observers_are_nobodys_business),
		TEST(test_a_librarys_call_is_told),
#ifndef SICKBAY_SAN
		TEST(test_a_call_within_malloc_is_told),
		TEST(test_a_path_that_cannot_be_read_is_not_told),
		TEST(test_a_path_at_the_end_of_what_is_mapped_is_told),
#endif
		TEST(test_a_handlers_call_is_told),
		TEST(test_errno_is_the_calls),
		TEST(test_a_cancelled_call_ends),
		TEST(test_switching_while_others_call),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
