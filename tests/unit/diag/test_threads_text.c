/* How the lines of a thread are written, from views made by hand. test_threads.c has real ones. */
#include "../support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "diag/threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void assert_head(const char *name, int64_t waited_ns, const char *expected)
{
	struct thread_view view = {
		.tid = 7, .answer = PROBE_SILENT, .state = "sleep", .waited_ns = waited_ns};
	struct thread_stack stack = {0};
	struct thread_snapshot snapshot = {
		.thread_count = 1, .threads = &view, .stack_count = 1, .stacks = &stack};
	struct strbuf text = STRBUF_INIT;
	char head[128];

	strncpy(view.name, name, sizeof(view.name) - 1);
	snprintf(head, sizeof(head),
		"thread 7 %s:\n(no stack: the thread did not answer in time)\n\n", expected);
	threads_print_each(NULL, &snapshot, &text);
	assert_string_equal(text.data, head);
	strbuf_free(&text);
}

static void test_durations_as_a_person_says_them(void **state)
{
	const int64_t second = CLOCK_NS_PER_SEC;

	(void)state;
	assert_head("a", 0, "\"a\" [sleep, 0 ms]");
	assert_head("a", 350 * CLOCK_NS_PER_MS, "\"a\" [sleep, 350 ms]");
	assert_head("a", second - 1, "\"a\" [sleep, 999 ms]");
	assert_head("a", second, "\"a\" [sleep, 1 second]");
	assert_head("a", 41 * second, "\"a\" [sleep, 41 seconds]");
	assert_head("a", 60 * second, "\"a\" [sleep, 1 minute]");
	assert_head("a", 119 * second, "\"a\" [sleep, 1 minute]");
	assert_head("a", 7200 * second, "\"a\" [sleep, 120 minutes]");
	assert_head("a", -1, "\"a\" [sleep]");
}

/* Names are the program's: they may hold anything, and must not look like another line. */
static void test_a_name_stays_within_its_line(void **state)
{
	(void)state;
	assert_head("a\nthread 8", -1, "\"a\\nthread 8\" [sleep]");
	assert_head("say \"hi\"", -1, "\"say \\\"hi\\\"\" [sleep]");
	assert_head("a\\b\x1b[2J", -1, "\"a\\\\b\\u001b[2J\" [sleep]");
	assert_head("", -1, "\"\" [sleep]");
	assert_head("fünf", -1, "\"fünf\" [sleep]");
}

/* The holder's name appears in the lines of those that wait for it. */
static void test_a_holders_name_stays_within_its_line(void **state)
{
	static const struct probe_wait_call call = {
		"pthread_mutex_lock", "futex wait", PROBE_WAIT_MUTEX};
	struct thread_view view = {.tid = 7,
		.name = "a\nb\"c",
		.state = "futex wait",
		.waited_ns = -1,
		.wait = {.call = &call, .object = &lock},
		.mutex_owner = 7};
	struct thread_stack stack = {0};
	struct thread_snapshot snapshot = {
		.thread_count = 1, .threads = &view, .stack_count = 1, .stacks = &stack};
	struct strbuf text = STRBUF_INIT;

	(void)state;
	threads_print_each(NULL, &snapshot, &text);
	assert_non_null(strstr(text.data, ", held by thread 7 \"a\\nb\\\"c\"\n(no stack: "));
	strbuf_free(&text);
}

/* pprof refuses a whole text for one line "N @" without an address. */
static void test_a_group_without_a_stack_has_an_address(void **state)
{
	struct thread_view view = {.tid = 7, .answer = PROBE_SILENT, .state = "sleep"};
	struct thread_stack stack = {0};
	struct thread_snapshot snapshot = {
		.thread_count = 1, .threads = &view, .stack_count = 1, .stacks = &stack};
	struct strbuf text = STRBUF_INIT;

	(void)state;
	threads_print_groups(NULL, &snapshot, &text);
	assert_string_equal(text.data, "thread profile: total 1\n"
				       "1 @ 0x0\n#\t0x0\t(no stack; debug=2 says why)\n\n");
	strbuf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations_as_a_person_says_them),
		cmocka_unit_test(test_a_name_stays_within_its_line),
		cmocka_unit_test(test_a_holders_name_stays_within_its_line),
		cmocka_unit_test(test_a_group_without_a_stack_has_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
