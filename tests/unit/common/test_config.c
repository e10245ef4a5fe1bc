#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"

struct values {
	const char *listen, *directory;
	int64_t count, any, optional;
};

static const struct config_entry entries[] = {
	{"TEST_LISTEN", CONFIG_STRING, offsetof(struct values, listen), ":6060", 0, 0, "address"},
	{"TEST_DIR", CONFIG_STRING, offsetof(struct values, directory), NULL, 0, 0, "directory"},
	{"TEST_COUNT", CONFIG_INT, offsetof(struct values, count), "4", 1, 64, "how many"},
	{"TEST_ANY", CONFIG_INT, offsetof(struct values, any), "0", INT64_MIN, INT64_MAX, "any"},
	{"TEST_OPTIONAL", CONFIG_INT, offsetof(struct values, optional), NULL, 0, 9, "optional"},
};
#define ENTRY_COUNT (sizeof(entries) / sizeof(entries[0]))

static int load(struct values *values, char *sentences, size_t cap_bytes)
{
	FILE *err = fmemopen(sentences, cap_bytes, "w");
	int result = config_load(entries, ENTRY_COUNT, values, err);

	fclose(err);
	return result;
}

static int clear(void **state)
{
	(void)state;
	for (size_t i = 0; i < ENTRY_COUNT; i++)
		unsetenv(entries[i].name);
	return 0;
}

static void falls_back_to_defaults(void **state)
{
	struct values values;
	char sentences[256] = "";

	(void)state;
	assert_int_equal(load(&values, sentences, sizeof(sentences)), 0);
	assert_string_equal(sentences, "");
	assert_string_equal(values.listen, ":6060");
	assert_null(values.directory);
	assert_int_equal(values.count, 4);
	assert_int_equal(values.any, 0);
	assert_int_equal(values.optional, INT64_MIN);
}

static void takes_what_is_set(void **state)
{
	struct values values;
	char sentences[256] = "";

	(void)state;
	setenv("TEST_DIR", "/somewhere", 1);
	setenv("TEST_COUNT", "64", 1);
	setenv("TEST_ANY", "-9223372036854775808", 1);
	setenv("TEST_OPTIONAL", "0", 1);
	assert_int_equal(load(&values, sentences, sizeof(sentences)), 0);
	assert_string_equal(values.directory, "/somewhere");
	assert_int_equal(values.count, 64);
	assert_int_equal(values.any, INT64_MIN);
	assert_int_equal(values.optional, 0);
	setenv("TEST_ANY", "9223372036854775807", 1);
	assert_int_equal(load(&values, sentences, sizeof(sentences)), 0);
	assert_int_equal(values.any, INT64_MAX);
}

static void says_what_is_wrong(void **state)
{
	static const char *const bad[] = {
		"0", "65", "x", "4x", " 4", "4 ", "+4", "4.0", "-", "0x4", "99999999999999999999"};
	struct values values;
	char sentences[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("TEST_COUNT", bad[i], 1);
		memset(sentences, 0, sizeof(sentences));
		assert_int_equal(load(&values, sentences, sizeof(sentences)), -EINVAL);
		assert_non_null(strstr(sentences, "TEST_COUNT"));
		assert_non_null(strstr(sentences, "from 1 to 64"));
	}
	setenv("TEST_ANY", "9223372036854775808", 1);
	memset(sentences, 0, sizeof(sentences));
	assert_int_equal(load(&values, sentences, sizeof(sentences)), -EINVAL);
	assert_non_null(strstr(sentences, "TEST_COUNT"));
	assert_non_null(strstr(sentences, "TEST_ANY"));
}

static void helps(void **state)
{
	char text[2048] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	config_help(entries, ENTRY_COUNT, out);
	fclose(out);
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		assert_non_null(strstr(text, entries[i].name));
		assert_non_null(strstr(text, entries[i].help));
	}
	assert_non_null(strstr(text, "1 to 64"));
	assert_non_null(strstr(text, ":6060"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(falls_back_to_defaults, clear),
		cmocka_unit_test_teardown(takes_what_is_set, clear),
		cmocka_unit_test_teardown(says_what_is_wrong, clear),
		cmocka_unit_test(helps),
	};

	return cmocka_run_group_tests(tests, clear, NULL);
}
