#include "../support/test.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"

/* Spelled by Go 1.24's time.Duration.String(). */
static void spells_durations_as_go_does(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{1, "1ns"},
		{999, "999ns"},
		{1000, "1\u00b5s"},
		{1100, "1.1\u00b5s"},
		{282630, "282.63\u00b5s"},
		{999999, "999.999\u00b5s"},
		{1000000, "1ms"},
		{1088028, "1.088028ms"},
		{2200000, "2.2ms"},
		{999999999, "999.999999ms"},
		{1000000000, "1s"},
		{5000123000, "5.000123s"},
		{1000000001, "1.000000001s"},
		{60000000000, "1m0s"},
		{90500000000, "1m30.5s"},
		{3600000000000, "1h0m0s"},
		{3723500000000, "1h2m3.5s"},
		{360000000000000, "100h0m0s"},
		{-1, "-1ns"},
		{-1100, "-1.1\u00b5s"},
		{-90500000000, "-1m30.5s"},
		{INT64_MAX, "2562047h47m16.854775807s"},
		{INT64_MIN, "-2562047h47m16.854775808s"},
	};
	char buf[DURATION_FORMAT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(buf, 'x', sizeof(buf));
		assert_ptr_equal(duration_format(buf, cases[i].ns), buf);
		assert_string_equal(buf, cases[i].text);
	}
}

static void clocks_are_the_kernels(void **state)
{
	int64_t before = clock_monotonic_ns();
	struct timespec pause = {0, CLOCK_NS_PER_MS};

	(void)state;
	nanosleep(&pause, NULL);
	assert_true(clock_monotonic_ns() - before >= CLOCK_NS_PER_MS);
	assert_in_range(clock_realtime_ns() / CLOCK_NS_PER_SEC, time(NULL) - 1, time(NULL) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spells_durations_as_go_does),
		cmocka_unit_test(clocks_are_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
