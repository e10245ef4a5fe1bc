#include "../support/test.h"

#include <errno.h>

#include "common/parse.h"

static void whole_numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{"0", 0},
		{"-0", 0},
		{"007", 7},
		{"-12", -12},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 99;

		assert_int_equal(parse_int(cases[i].text, INT64_MIN, INT64_MAX, &value), 0);
		assert_int_equal(value, cases[i].value);
	}
}

static void expect_error(const char *text, int64_t min, int64_t max, int err)
{
	int64_t value = 99;

	assert_int_equal(parse_int(text, min, max, &value), err);
	assert_int_equal(value, 99);
}

static void anything_else_is_refused(void **state)
{
	static const char *const malformed[] = {
		"", "-", "+1", " 1", "1 ", "1e3", "0x1", "--1", "1-", "99999999999999999999x"};

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		expect_error(malformed[i], INT64_MIN, INT64_MAX, -EINVAL);
}

static void bounds_are_inclusive(void **state)
{
	int64_t value;

	(void)state;
	assert_int_equal(parse_int("-1", -1, 5, &value), 0);
	assert_int_equal(parse_int("5", -1, 5, &value), 0);
	expect_error("-2", -1, 5, -ERANGE);
	expect_error("6", -1, 5, -ERANGE);
	expect_error("9223372036854775808", INT64_MIN, INT64_MAX, -ERANGE);
	expect_error("-9223372036854775809", INT64_MIN, INT64_MAX, -ERANGE);
	/* 2^64 + 1, which wraps to 1. */
	expect_error("18446744073709551617", -1, 5, -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(bounds_are_inclusive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
