#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define THREADS 4
#define LINES 500
#define STALL_MAX_S 10

static int saved_stderr, reader;

/* stderr becomes a pipe that we read. */
static int redirect(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	saved_stderr = dup(STDERR_FILENO);
	if (pipe(ends))
		return -1;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
	return 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reader);
	return 0;
}

static size_t captured(char *text, size_t cap_bytes)
{
	size_t len_bytes = 0;
	ssize_t got;

	while ((got = read(reader, text + len_bytes, cap_bytes - len_bytes - 1)) > 0)
		len_bytes += got;
	text[len_bytes] = '\0';
	return len_bytes;
}

static void expect_line(const char *line, const char *text, time_t from, time_t to)
{
	struct tm when = {.tm_isdst = -1};
	const char *rest = strptime(line, "%Y/%m/%d %H:%M:%S ", &when);

	assert_non_null(rest);
	assert_string_equal(rest, text);
	assert_int_equal(rest - line, 20);
	assert_in_range(mktime(&when), from, to);
}

static void stamps_lines(void **state)
{
	char text[256];
	time_t from = time(NULL);

	(void)state;
	errno = ENOENT;
	log_puts("Starting processing request...");
	assert_int_equal(errno, ENOENT);
	captured(text, sizeof(text));
	expect_line(text, "Starting processing request...\n", from, time(NULL));
	errno = ENOENT;
	log_printf("%s %d", "twelve", 12);
	assert_int_equal(errno, ENOENT);
	captured(text, sizeof(text));
	expect_line(text, "twelve 12\n", from, time(NULL));
	log_block("a\nb\n", 4);
	captured(text, sizeof(text));
	assert_string_equal(text, "a\nb\n");
}

static void the_stamp_follows_the_second(void **state)
{
	char text[256];
	struct timespec pause = {1, 100000000};
	time_t from;

	(void)state;
	log_puts("before");
	captured(text, sizeof(text));
	nanosleep(&pause, NULL);
	from = time(NULL);
	log_puts("after");
	captured(text, sizeof(text));
	expect_line(text, "after\n", from, time(NULL));
}

static void cuts_long_lines(void **state)
{
	static char longer[2 * LOG_LINE_BYTES], text[4 * LOG_LINE_BYTES];

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	for (int i = 0; i < 2; i++) {
		if (i)
			log_puts(longer);
		else
			log_printf("%s", longer);
		assert_int_equal(captured(text, sizeof(text)), LOG_LINE_BYTES);
		assert_int_equal(text[LOG_LINE_BYTES - 2], 'a');
		assert_int_equal(text[LOG_LINE_BYTES - 1], '\n');
	}
	/* The longest that still fits is whole. */
	longer[LOG_LINE_BYTES - 21] = '\0';
	log_printf("%s", longer);
	assert_int_equal(captured(text, sizeof(text)), LOG_LINE_BYTES);
}

static void survives_its_reader(void **state)
{
	char text[256];
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	(void)state;
	/* A reader that stalls. */
	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (write(STDERR_FILENO, text, sizeof(text)) > 0)
		;
	errno = 0;
	log_puts("lost");
	assert_int_equal(errno, 0);
	/* A reader that is gone. */
	close(reader);
	log_puts("lost");
	log_printf("%s", "lost");
	log_block("lost\n", 5);
	assert_int_equal(errno, 0);
}

/* Fills the pipe but for ROOM_BYTES, as lines that nobody reads would. */
static void fill_pipe(size_t room_bytes)
{
	static char page[4096];
	int flags = fcntl(STDERR_FILENO, F_GETFL);
	size_t size_bytes = (size_t)fcntl(STDERR_FILENO, F_GETPIPE_SZ);

	memset(page, 'x', sizeof(page));
	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (size_bytes > room_bytes && write(STDERR_FILENO, page, sizeof(page)) > 0)
		size_bytes -= sizeof(page);
	/* Blocking again, as a stderr is. */
	fcntl(STDERR_FILENO, F_SETFL, flags);
}

static int64_t log_for_nobody(int count)
{
	int64_t start_ns = clock_monotonic_ns();

	for (int i = 0; i < count; i++)
		log_puts("lost");
	return (clock_monotonic_ns() - start_ns) / CLOCK_NS_PER_MS;
}

/* Nobody reads: the first line waits a moment, the others do not; then lines come again. */
static void a_stalled_reader_stops_nobody(void **state)
{
	static char text[2 << 20];

	(void)state;
	alarm(STALL_MAX_S);
	fill_pipe(0);
	assert_true(log_for_nobody(1000) < 1000);
	captured(text, sizeof(text));
	assert_null(strstr(text, "lost"));
	log_puts("here again");
	captured(text, sizeof(text));
	assert_non_null(strstr(text, "here again\n"));
	alarm(0);
}

/* There is room for a part of it only. */
static void a_block_longer_than_the_room_stops_nobody(void **state)
{
	static char block[64 * 1024];

	(void)state;
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = i % 64 == 63 ? '\n' : 'b';
	alarm(STALL_MAX_S);
	fill_pipe(8192);
	log_block(block, sizeof(block));
	alarm(0);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* One that interrupts the wait for the reader, as a profiler's does. */
static void a_signal_does_not_end_the_patience_for_good(void **state)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec soon = {.it_value.tv_nsec = 10 * CLOCK_NS_PER_MS};
	timer_t timer;

	(void)state;
	signal(SIGUSR1, on_signal);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	log_puts("read, so that the next one is waited for");
	fill_pipe(4096); /* the line above has a page */
	alarm(STALL_MAX_S);
	timer_settime(timer, 0, &soon, NULL);
	log_puts("lost");
	alarm(0);
	timer_delete(timer);
}

static char long_line[LOG_LINE_BYTES]; /* of which each needs a page of the pipe for itself */

static void *log_until_full(void *unused)
{
	(void)unused;
	for (int i = 0; i < LINES; i++)
		log_puts(long_line);
	return NULL;
}

/* Of many who see the last room at once, only one may have it. */
static void threads_that_race_for_the_last_room_do_not_stop(void **state)
{
	static char text[2 << 20];
	pthread_t threads[THREADS];

	(void)state;
	memset(long_line, 'a', sizeof(long_line) - 1);
	alarm(STALL_MAX_S);
	for (int round = 0; round < 50; round++) {
		fill_pipe(8192);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(
				pthread_create(&threads[i], NULL, log_until_full, NULL), 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		captured(text, sizeof(text));
	}
	alarm(0);
}

static void *write_lines(void *letter)
{
	for (int i = 0; i < LINES; i++)
		log_printf("%s%s%s", (char *)letter, (char *)letter, (char *)letter);
	return NULL;
}

static void lines_of_threads_never_mix(void **state)
{
	static char *const letters[THREADS] = {"aaaa", "bbbb", "cccc", "dddd"};
	static char text[1 << 20];
	pthread_t threads[THREADS];
	size_t len_bytes;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, letters[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	len_bytes = captured(text, sizeof(text));
	assert_int_equal(len_bytes, THREADS * LINES * (20 + 12 + 1));
	for (size_t at = 0; at < len_bytes; at += 33) {
		assert_int_equal(text[at + 32], '\n');
		assert_int_equal(strspn(text + at + 20, (char[]){text[at + 20], 0}), 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stamps_lines, redirect, restore),
		cmocka_unit_test_setup_teardown(the_stamp_follows_the_second, redirect, restore),
		cmocka_unit_test_setup_teardown(cuts_long_lines, redirect, restore),
		cmocka_unit_test_setup_teardown(survives_its_reader, redirect, restore),
		cmocka_unit_test_setup_teardown(a_stalled_reader_stops_nobody, redirect, restore),
		cmocka_unit_test_setup_teardown(
			threads_that_race_for_the_last_room_do_not_stop, redirect, restore),
		cmocka_unit_test_setup_teardown(
			a_block_longer_than_the_room_stops_nobody, redirect, restore),
		cmocka_unit_test_setup_teardown(
			a_signal_does_not_end_the_patience_for_good, redirect, restore),
		cmocka_unit_test_setup_teardown(lines_of_threads_never_mix, redirect, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
