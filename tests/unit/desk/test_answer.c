/* Answers: what is taken for right, whatever is typed. */
#include "../support/test.h"

#include <stdio.h>
#include <string.h>

#include "desk/answer.h"

static const char text[] = "# what is right\n"
			   "step 3\n"
			   "\n"
			   "function leak_memory\n"
			   "  function grow_buffer  \r\n"
			   "resource memory\n"
			   "resource heap memory\n"
			   "functional none\n"
			   "resource\n"
			   "seen `pprof \"x\"` shows it\n"
			   "#seen nobody\n"
			   "seen and ps";

static void several_are_right(void **state)
{
	static const char *const functions[] = {
		"leak_memory", "grow_buffer", "leak_memory()", " Leak-Memory ", "GROW BUFFERS"};
	static const char *const resources[] = {
		"memory", "Memory", "memorys", "heap memory", "\theap_memory."};

	(void)state;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		for (size_t j = 0; j < sizeof(resources) / sizeof(resources[0]); j++)
			if (!answer_is_right(text, functions[i], resources[j]))
				fail_msg("%s, %s", functions[i], resources[j]);
}

static void others_are_not(void **state)
{
	static const char *const wrong[] = {"", " ", "_", "s", "none", "leak", "memory leak",
		"leakmemory", "leak_memory grow_buffer", "heap", "nobody", "3", "#", "\n", "%s",
		"\xff\xfe", "m\xc3\xa9mory", "*", "memory\nheap", "resource memory"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (answer_is_right(text, wrong[i], "memory"))
			fail_msg("the function \"%s\"", wrong[i]);
		if (answer_is_right(text, "leak_memory", wrong[i]))
			fail_msg("the resource \"%s\"", wrong[i]);
	}
	/* One of the other lines. */
	assert_false(answer_is_right(text, "memory", "leak_memory"));
	assert_false(answer_is_right("", "", ""));
	assert_false(answer_is_right("function\nresource\n", "", ""));
}

static void the_longest_has_its_limit(void **state)
{
	char given[2 * ANSWER_BYTES], file[3 * ANSWER_BYTES];

	(void)state;
	for (size_t len_bytes = 1; len_bytes < sizeof(given); len_bytes++) {
		memset(given, 'a', len_bytes);
		given[len_bytes] = '\0';
		snprintf(file, sizeof(file), "function x\nresource %s\n", given);
		assert_int_equal(answer_is_right(file, "x", given), len_bytes + 2 <= ANSWER_BYTES);
	}
	/* One word for each two bytes: a blank follows each. */
	for (size_t i = 0; i + 2 < sizeof(given); i += 2)
		memcpy(given + i, "b ", 3);
	assert_false(answer_is_right(text, given, "memory"));
	given[ANSWER_BYTES - 2] = '\0';
	assert_false(answer_is_right(text, given, "memory"));
}

static void lines_have_values(void **state)
{
	(void)state;
	assert_true(answer_has(text, "step", "3"));
	assert_false(answer_has(text, "step", "30"));
	assert_false(answer_has(text, "step", ""));
	assert_false(answer_has(text, "pair", "3"));
	assert_false(answer_has(text, "ste", "3"));
	assert_true(answer_has("pair\tfile", "pair", "file"));
}

static void what_is_seen_is_told(void **state)
{
	struct strbuf seen = STRBUF_INIT;

	(void)state;
	answer_add_seen(text, &seen);
	assert_string_equal(seen.data, "`pprof \"x\"` shows it\nand ps");
	strbuf_free(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_are_right),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(the_longest_has_its_limit),
		cmocka_unit_test(lines_have_values),
		cmocka_unit_test(what_is_seen_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
