/* The exposition format, word for word, and what its own reader thinks of it. */
#include "../support/read_metrics.h"
#include "../support/test.h"

#include <math.h>
#include <string.h>

#include "common/metrics_text.h"

static void writes_families(void **state)
{
	struct metrics_text out = METRICS_TEXT_INIT;

	(void)state;
	metrics_text_family(&out, "test_threads", METRICS_GAUGE, "How many.");
	metrics_text_sample(&out, NULL, 12);
	metrics_text_family(&out, "test_answers_total", METRICS_COUNTER, "So far.");
	metrics_text_sample(&out, METRICS_LABELS({"route", "/"}, {"status", "2xx"}), 3);
	metrics_text_sample(&out, METRICS_LABELS({"route", "/"}, {"status", "5xx"}), 0);
	assert_string_equal(out.text.data, "# HELP test_threads How many.\n"
					   "# TYPE test_threads gauge\n"
					   "test_threads 12\n"
					   "# HELP test_answers_total So far.\n"
					   "# TYPE test_answers_total counter\n"
					   "test_answers_total{route=\"/\",status=\"2xx\"} 3\n"
					   "test_answers_total{route=\"/\",status=\"5xx\"} 0\n");
	check_metrics(&out.text);
	strbuf_free(&out.text);
}

static void writes_numbers(void **state)
{
	static const struct {
		double number;
		const char *text;
	} cases[] = {
		{0, "0"},
		{-1, "-1"},
		{0.1, "0.1"},
		{0.00025, "0.00025"},
		{1e-9, "1e-09"},
		{17463872, "17463872"},
		{999999999999999, "999999999999999"},
		{1795279864.25, "1795279864.25"},
		{INFINITY, "+Inf"},
		{-INFINITY, "-Inf"},
		{NAN, "NaN"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct metrics_text out = METRICS_TEXT_INIT;

		metrics_text_family(&out, "x", METRICS_GAUGE, "X.");
		out.text.len_bytes = 0;
		metrics_text_sample(&out, NULL, cases[i].number);
		assert_int_equal(out.text.data[out.text.len_bytes - 1], '\n');
		out.text.data[out.text.len_bytes - 1] = '\0';
		assert_string_equal(out.text.data + 2, cases[i].text);
		strbuf_free(&out.text);
	}
}

static void escapes_what_is_hostile(void **state)
{
	static const struct {
		const char *value, *escaped;
	} cases[] = {
		{"", ""},
		{"say \"no\"", "say \\\"no\\\""},
		{"back\\slash\\", "back\\\\slash\\\\"},
		{"two\nlines", "two\\nlines"},
		{"\"} 1\ntest_made_up 666\n#", "\\\"} 1\\ntest_made_up 666\\n#"},
		{"\t\r\x01 {}=,", "\t\r\x01 {}=,"},
		{"\u00b5s \U0001f600", "\u00b5s \U0001f600"},
		{"a\xff\xc3", "a\ufffd\ufffd"},
		{"\xe2\x82\"", "\ufffd\ufffd\\\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct metrics_text out = METRICS_TEXT_INIT;
		struct strbuf line = STRBUF_INIT;

		metrics_text_family(&out, "test_value", METRICS_GAUGE, "Hostile.");
		metrics_text_sample(&out, METRICS_LABELS({"is", cases[i].value}), 1);
		strbuf_printf(&line, "\ntest_value{is=\"%s\"} 1\n", cases[i].escaped);
		assert_non_null(strstr(out.text.data, line.data));
		check_metrics(&out.text);
		strbuf_free(&line);
		strbuf_free(&out.text);
	}
}

/* Quotes are plain in a help text. */
static void escapes_help(void **state)
{
	struct metrics_text out = METRICS_TEXT_INIT;

	(void)state;
	metrics_text_family(&out, "x", METRICS_GAUGE, "a \"b\" \\ c\nx 1\xff");
	assert_string_equal(out.text.data, "# HELP x a \"b\" \\\\ c\\nx 1\ufffd\n# TYPE x gauge\n");
	check_metrics(&out.text);
	strbuf_free(&out.text);
}

static void cumulates_histograms(void **state)
{
	static const double bounds[] = {0.1, 2.5};
	static const uint64_t counts[] = {3, 0, 4}, none[] = {0, 0, 0};
	struct metrics_text out = METRICS_TEXT_INIT;

	(void)state;
	metrics_text_family(&out, "test_seconds", METRICS_HISTOGRAM, "How long.");
	metrics_text_histogram(&out, METRICS_LABELS({"step", "a"}),
		&(struct metrics_histogram){bounds, 2, counts, 40.5});
	metrics_text_histogram(&out, METRICS_LABELS({"step", "b"}),
		&(struct metrics_histogram){bounds, 2, none, 0});
	assert_string_equal(out.text.data, "# HELP test_seconds How long.\n"
					   "# TYPE test_seconds histogram\n"
					   "test_seconds_bucket{step=\"a\",le=\"0.1\"} 3\n"
					   "test_seconds_bucket{step=\"a\",le=\"2.5\"} 3\n"
					   "test_seconds_bucket{step=\"a\",le=\"+Inf\"} 7\n"
					   "test_seconds_sum{step=\"a\"} 40.5\n"
					   "test_seconds_count{step=\"a\"} 7\n"
					   "test_seconds_bucket{step=\"b\",le=\"0.1\"} 0\n"
					   "test_seconds_bucket{step=\"b\",le=\"2.5\"} 0\n"
					   "test_seconds_bucket{step=\"b\",le=\"+Inf\"} 0\n"
					   "test_seconds_sum{step=\"b\"} 0\n"
					   "test_seconds_count{step=\"b\"} 0\n");
	check_metrics(&out.text);
	out.text.len_bytes = 0;
	metrics_text_histogram(&out, NULL, &(struct metrics_histogram){NULL, 0, counts, 1});
	assert_string_equal(out.text.data,
		"test_seconds_bucket{le=\"+Inf\"} 3\ntest_seconds_sum 1\ntest_seconds_count 3\n");
	strbuf_free(&out.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_families),
		cmocka_unit_test(writes_numbers),
		cmocka_unit_test(escapes_what_is_hostile),
		cmocka_unit_test(escapes_help),
		cmocka_unit_test(cumulates_histograms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
