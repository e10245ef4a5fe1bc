/* The pace of a pair's programs, what ends them, and what they say: with an act of the test's own. */
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "http/program.h"
#include "leaks/pair.h"

#define PER_SECOND 50
#define PERIOD_MS (1000 / PER_SECOND)
#define ACTS_MAX 400
#define LATE_MS 10 /* what a busy machine is forgiven, half of the time */

static struct {
	int64_t start_ns, at_ms[ACTS_MAX];
	int count;
	int slow_one, slow_ms;   /* this act takes so long */
	int odd_one, odd_result; /* this one returns that */
	int raising_one;
	bool leaks;
	int leaked[ACTS_MAX];
} acts;

static int act(struct pair_counts *counts)
{
	int number = acts.count++;

	assert_true(number < ACTS_MAX);
	acts.at_ms[number] = (clock_monotonic_ns() - acts.start_ns) / CLOCK_NS_PER_MS;
	if (acts.count == acts.slow_one)
		nanosleep(&(struct timespec){acts.slow_ms / 1000,
				  acts.slow_ms % 1000 * CLOCK_NS_PER_MS},
			NULL);
	if (acts.count == acts.raising_one)
		raise(SIGTERM);
	if (acts.count == acts.odd_one)
		return acts.odd_result;
	if (acts.leaks)
		acts.leaked[number] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	counts->taken++;
	return 0;
}

static void say_start(FILE *out, const struct measure *now)
{
	acts.start_ns = clock_monotonic_ns();
	fprintf(out, "%d held\n", (int)now->fd_count);
}

static void say_state(FILE *out, const struct measure *now, const struct pair_counts *counts)
{
	fprintf(out, "%d held, %d taken\n", (int)now->fd_count, (int)counts->taken);
}

static int64_t held(const struct measure *now)
{
	return now->fd_count;
}

static const struct pair pair = {
	.per_second = PER_SECOND,
	.act = act,
	.say_start = say_start,
	.say_state = say_state,
	.held = held,
	.leak = "It leaks!",
	.no_leak = "It does not",
};

static int set_up(void **state)
{
	(void)state;
	memset(&acts, 0, sizeof(acts));
	return 0;
}

/* Returns what was said; the caller frees. */
static char *run(int64_t seconds, int expected)
{
	const struct pair_settings settings = {.seconds = seconds};
	char *text = NULL;
	size_t text_bytes;
	FILE *out = open_memstream(&text, &text_bytes);

	assert_non_null(out);
	assert_int_equal(pair_run(&pair, &settings, 0, out), expected);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* Of the acts from FIRST on, how many were not begun within LATE_MS of when they were due. */
static int late_count(int first, int64_t first_due_ms)
{
	int count = 0;

	for (int i = first; i < acts.count; i++) {
		int64_t late_ms = acts.at_ms[i] - first_due_ms - (int64_t)(i - first) * PERIOD_MS;

		assert_true(late_ms >= 0);
		count += late_ms > LATE_MS;
	}
	return count;
}

static void test_pace_does_not_drift(void **state)
{
	(void)state;
	free(run(2, 0));
	assert_int_equal(acts.count, 2 * PER_SECOND);
	assert_in_range(late_count(0, PERIOD_MS), 0, PER_SECOND);
}

static void test_what_came_late_is_made_up_for(void **state)
{
	(void)state;
	acts.slow_one = 10;
	acts.slow_ms = 500;
	free(run(2, 0));
	assert_int_equal(acts.count, 2 * PER_SECOND);
	/* 25 were due meanwhile. */
	assert_in_range(late_count(0, PERIOD_MS), 20, 25 + PER_SECOND);
}

static void test_more_than_a_second_is_not(void **state)
{
	(void)state;
	acts.slow_one = 10;
	acts.slow_ms = 1500;
	free(run(2, 0));
	/* 10 until 0.2 s, the next at 1.7 s; to make up for all would be 100. */
	assert_in_range(acts.count, 12, 26);
	assert_true(acts.at_ms[10] >= 1700);
}

static void test_a_failure_is_tried_again_later(void **state)
{
	char *said;

	(void)state;
	acts.odd_one = 10;
	acts.odd_result = 700;
	said = run(1, 0);
	assert_true(acts.at_ms[10] - acts.at_ms[9] >= 700);
	assert_in_range(acts.count, 11, 15);
	free(said);
}

static void test_an_error_ends_it_without_a_report(void **state)
{
	char *said;

	(void)state;
	acts.odd_one = 3;
	acts.odd_result = -EMFILE;
	said = run(0, -EMFILE);
	assert_int_equal(acts.count, 3);
	assert_null(strstr(said, "[END]"));
	free(said);
}

static void test_a_signal_ends_it(void **state)
{
	char *said;

	(void)state;
	acts.raising_one = 3;
	said = run(0, SIGTERM);
	assert_int_equal(acts.count, 3);
	assert_non_null(strstr(said, "[END] "));
	free(said);
}

static void test_what_it_says_of_a_leak(void **state)
{
	struct measure before;
	char expected[512], *said, *end;

	(void)state;
	assert_int_equal(measure_take(0, &before), 0);
	acts.leaks = true;
	said = run(6, 0);
	for (int i = 0; i < acts.count; i++)
		close(acts.leaked[i]);
	end = strstr(said, "[END] ");
	assert_non_null(end);
	snprintf(expected, sizeof(expected),
		"[START] %d held\n"
		"[AFTER 2s] %d held, 100 taken\n"
		"[AFTER 4s] %d held, 200 taken\n"
		"[AFTER 6s] %d held, 300 taken\n"
		"\n"
		"WARNING: It leaks!\n",
		(int)before.fd_count, (int)before.fd_count + 100, (int)before.fd_count + 200,
		(int)before.fd_count + 300);
	assert_int_equal(end - said, strlen(expected));
	assert_memory_equal(said, expected, strlen(expected));
	snprintf(expected, sizeof(expected),
		"[END] descriptors=%d connections=0 threads=%d rss_kib=",
		(int)before.fd_count + 300, (int)before.thread_count);
	assert_memory_equal(end, expected, strlen(expected));
	assert_non_null(strstr(end, " taken=300 given_back=0 failures=0\n"));
	free(said);
}

static int block_signals(void **state)
{
	(void)state;
	program_block_signals();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pace_does_not_drift, set_up),
		cmocka_unit_test_setup(test_what_came_late_is_made_up_for, set_up),
		cmocka_unit_test_setup(test_more_than_a_second_is_not, set_up),
		cmocka_unit_test_setup(test_a_failure_is_tried_again_later, set_up),
		cmocka_unit_test_setup(test_an_error_ends_it_without_a_report, set_up),
		cmocka_unit_test_setup(test_what_it_says_of_a_leak, set_up),
		/* Last: from then on a thread waits for one signal more. */
		cmocka_unit_test_setup(test_a_signal_ends_it, set_up),
	};

	return cmocka_run_group_tests(tests, block_signals, NULL);
}
