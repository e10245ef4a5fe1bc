#include "../support/test.h"

#include <errno.h>
#include <string.h>

#include "http/params.h"

static void finds_strings(void **state)
{
	static const struct {
		const char *query;
		int result;
		const char *value;
	} cases[] = {
		{"", 0, "default"},
		{"k", 0, ""},
		{"k=", 0, ""},
		{"k=v", 0, "v"},
		{"a=1&k=v&b=2", 0, "v"},
		{"k=first&k=second", 0, "first"},
		{"kk=v&xk=v&K=v", 0, "default"},
		{"=v&&k=v", 0, "v"},
		{"%6b=v", 0, "v"},
		{"%6B=%76+%2b", 0, "v +"},
		{"k=a=b", 0, "a=b"},
		{"k=a;b", 0, "a;b"},
		{"k=\u00b5", 0, "\u00b5"},
		{"%zz=1&k=v", 0, "v"},
		{"k%00=1", 0, "default"},
		{"k=%", -EINVAL, NULL},
		{"k=%4", -EINVAL, NULL},
		{"k=%4&x=1", -EINVAL, NULL},
		{"k=%4g", -EINVAL, NULL},
		{"k=%-1", -EINVAL, NULL},
		{"k=% 1", -EINVAL, NULL},
		{"k=a%00b", -EINVAL, NULL},
		{"k=123456789", 0, "123456789"},
		{"k=1234567890", -ERANGE, NULL},
		{"k=%31%32%33%34%35%36%37%38%39", 0, "123456789"},
	};
	char out[10];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(out, 0, sizeof(out));
		memcpy(out, "before", strlen("before"));
		assert_int_equal(params_string(cases[i].query, "k", "default", out, sizeof(out)),
			cases[i].result);
		assert_string_equal(out, cases[i].value ? cases[i].value : "before");
	}
}

static void finds_numbers(void **state)
{
	static const struct {
		const char *query;
		int result;
		int64_t value;
	} cases[] = {
		{"", 0, 30},
		{"n=1", 0, 1},
		{"n=300", 0, 300},
		{"n=%35", 0, 5},
		{"n=007", 0, 7},
		{"n=0", -ERANGE, 0},
		{"n=301", -ERANGE, 0},
		{"n=-5", -ERANGE, 0},
		{"n=9223372036854775808", -ERANGE, 0},
		{"n=99999999999999999999", -ERANGE, 0},
		{"n=999999999999999999999999", -ERANGE, 0},
		{"n=", -EINVAL, 0},
		{"n", -EINVAL, 0},
		{"n=-", -EINVAL, 0},
		{"n=%2b5", -EINVAL, 0},
		{"n=+5", -EINVAL, 0},
		{"n=5+", -EINVAL, 0},
		{"n=5s", -EINVAL, 0},
		{"n=0x5", -EINVAL, 0},
		{"n=1e2", -EINVAL, 0},
		{"n=5.0", -EINVAL, 0},
		{"n=--5", -EINVAL, 0},
		{"n=99999999999999999x", -EINVAL, 0},
	};
	int64_t out;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		out = -77;
		assert_int_equal(
			params_int(cases[i].query, "n", 30, 1, 300, &out), cases[i].result);
		assert_int_equal(out, cases[i].result ? -77 : cases[i].value);
	}
}

static void finds_the_extremes(void **state)
{
	int64_t out;

	(void)state;
	assert_int_equal(
		params_int("n=-9223372036854775808", "n", 0, INT64_MIN, INT64_MAX, &out), 0);
	assert_int_equal(out, INT64_MIN);
	assert_int_equal(
		params_int("n=9223372036854775807", "n", 0, INT64_MIN, INT64_MAX, &out), 0);
	assert_int_equal(out, INT64_MAX);
	assert_int_equal(
		params_int("n=-9223372036854775809", "n", 0, INT64_MIN, INT64_MAX, &out), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_strings),
		cmocka_unit_test(finds_numbers),
		cmocka_unit_test(finds_the_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
