/* The decision between leak and no leak. */
#include "../support/test.h"

#include "leaks/verdict.h"

#define AT_START 12

/* The verdict after each look; HELD and TAKEN end with -1. */
static void assert_verdicts(const int64_t *held, const int64_t *taken, const enum verdict *expected)
{
	struct verdict_looks looks;

	verdict_begin(&looks, AT_START, 0);
	for (int i = 0; held[i] >= 0; i++) {
		enum verdict seen = verdict_look(&looks, held[i], taken[i]);

		if (seen != expected[i])
			fail_msg("verdict %d after look %d, not %d", seen, i + 1, expected[i]);
	}
}

static void test_leak(void **state)
{
	(void)state;
	assert_verdicts((int64_t[]){112, 212, 312, 412, -1}, (int64_t[]){100, 200, 300, 400},
		(enum verdict[]){VERDICT_NONE, VERDICT_NONE, VERDICT_LEAK, VERDICT_LEAK});
}

static void test_no_leak(void **state)
{
	(void)state;
	assert_verdicts((int64_t[]){12, 12, 12, 12, -1}, (int64_t[]){100, 200, 300, 400},
		(enum verdict[]){VERDICT_NONE, VERDICT_NONE, VERDICT_NO_LEAK, VERDICT_NO_LEAK});
}

static void test_a_tenth_is_noise(void **state)
{
	(void)state;
	assert_verdicts((int64_t[]){22, 32, 42, -1}, (int64_t[]){100, 200, 300},
		(enum verdict[]){VERDICT_NONE, VERDICT_NONE, VERDICT_NO_LEAK});
	assert_verdicts((int64_t[]){23, 34, 45, -1}, (int64_t[]){100, 200, 300},
		(enum verdict[]){VERDICT_NONE, VERDICT_NONE, VERDICT_LEAK});
}

/* One look at which it fell is enough: what is held for a while is no leak. */
static void test_a_burst_is_no_leak(void **state)
{
	(void)state;
	assert_verdicts((int64_t[]){112, 12, 112, 12, -1}, (int64_t[]){100, 200, 300, 400},
		(enum verdict[]){VERDICT_NONE, VERDICT_NONE, VERDICT_NO_LEAK, VERDICT_NO_LEAK});
}

static void test_nothing_taken_proves_nothing(void **state)
{
	(void)state;
	assert_verdicts((int64_t[]){12, 12, 12, 62, 112, 162, 162, -1},
		(int64_t[]){0, 0, 0, 50, 100, 150, 150},
		(enum verdict[]){VERDICT_NONE, VERDICT_NONE, VERDICT_NONE, VERDICT_NONE,
			VERDICT_NONE, VERDICT_LEAK, VERDICT_NONE});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leak),
		cmocka_unit_test(test_no_leak),
		cmocka_unit_test(test_a_tenth_is_noise),
		cmocka_unit_test(test_a_burst_is_no_leak),
		cmocka_unit_test(test_nothing_taken_proves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
