/* What names say, and the names that the desk gives. */
#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "desk/capture_name.h"

#define AT_NS (1795284192 * CLOCK_NS_PER_SEC) /* 2026-11-21 18:03:12 UTC */

static void expect_name(const char *label, const struct capture_facts *facts, const char *expected)
{
	struct capture_facts read;
	char name[CAPTURE_NAME_BYTES];

	capture_name_make(name, label, facts, AT_NS);
	assert_string_equal(name, expected);
	assert_true(capture_name_is_plain(name));
	capture_name_read(name, &read);
	assert_ptr_equal(read.kind, facts->kind);
	assert_int_equal(read.step, facts->step);
	assert_int_equal(read.is_fixed, facts->is_fixed);
	assert_int_equal(read.seconds, facts->seconds);
}

static const struct capture_kind *kind(const char *name)
{
	const struct capture_kind *found = capture_kind_find(name, strlen(name));

	assert_non_null(found);
	return found;
}

static void a_name_tells_all(void **state)
{
	(void)state;
	expect_name("", &(struct capture_facts){kind("fd"), 6, false, 0},
		"step6-fd-20261121-180312.pb.gz");
	expect_name("", &(struct capture_facts){kind("cpu"), 2, true, 10},
		"step2-fixed-cpu-10s-20261121-180312.pb.gz");
	expect_name("before",
		&(struct capture_facts){kind("trace"), CAPTURE_STEP_UNKNOWN, false, 5},
		"before-trace-5s-20261121-180312.pftrace");
	expect_name("v1.2_a", &(struct capture_facts){kind("connections"), 7, false, 300},
		"v1.2_a-step7-connections-300s-20261121-180312.pb.gz");
}

static void the_longest_is_plain(void **state)
{
	char label[CAPTURE_LABEL_BYTES];

	(void)state;
	memset(label, 'x', sizeof(label) - 1);
	label[sizeof(label) - 1] = '\0';
	assert_true(capture_label_is_good(label));
	for (size_t i = 0; capture_kind_at(i); i++) {
		const struct capture_facts facts = {capture_kind_at(i), 999, true, 300};
		char name[CAPTURE_NAME_BYTES];

		capture_name_make(name, label, &facts, AT_NS);
		assert_true(capture_name_is_plain(name));
		assert_string_equal(capture_name_ending(name), facts.kind->ending);
	}
}

static void reads_what_people_chose(void **state)
{
	struct capture_facts facts;

	(void)state;
	capture_name_read("my.pftrace", &facts);
	assert_ptr_equal(facts.kind, kind("trace"));
	assert_int_equal(facts.step, CAPTURE_STEP_UNKNOWN);
	capture_name_read("heap-step3.pb.gz", &facts);
	assert_ptr_equal(facts.kind, kind("heap"));
	assert_int_equal(facts.step, 3);
	assert_int_equal(facts.seconds, 0);
	capture_name_read("before-fixed-30s-step3-heap.pb.gz", &facts);
	assert_ptr_equal(facts.kind, kind("heap"));
	assert_int_equal(facts.step, 3);
	assert_false(facts.is_fixed);
	assert_int_equal(facts.seconds, 0);
	capture_name_read("step1-fixed-cpu-5s-step3-not-fixed-heap.pb.gz", &facts);
	assert_ptr_equal(facts.kind, kind("heap"));
	assert_int_equal(facts.step, 3);
	assert_false(facts.is_fixed);
	assert_int_equal(facts.seconds, 0);
	capture_name_read("step-cpux-stepx-s-9999s-step1234-fixedly", &facts);
	assert_null(facts.kind);
	assert_int_equal(facts.step, CAPTURE_STEP_UNKNOWN);
	assert_int_equal(facts.seconds, 0);
	assert_false(facts.is_fixed);
	capture_name_read("-", &facts);
	assert_null(facts.kind);
}

static void gives_another_label(void **state)
{
	static const struct {
		const char *name, *label, *result;
		size_t label_bytes;
	} cases[] = {
		{"step6-fd-1.pb.gz", "new", "new-step6-fd-1.pb.gz", 0},
		{"old-step6-fd-1.pb.gz", "new", "new-step6-fd-1.pb.gz", 3},
		{"a-heap-step6-fixed-trace-5s-1.pftrace", "b-cpu",
			"b-cpu-step6-fixed-trace-5s-1.pftrace", 6},
		{"old-cpu-5s-1.pb.gz", "new", "new-cpu-5s-1.pb.gz", 3},
		{"heap-step3.pb.gz", "new", "new-heap-step3.pb.gz", 0},
		{"my-own.pftrace", "new", "new.pftrace", 6},
		{"perf.data", "new", "new", 9},
	};
	char result[CAPTURE_NAME_BYTES], long_name[CAPTURE_NAME_BYTES] = "heap-";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(capture_name_label_bytes(cases[i].name), cases[i].label_bytes);
		assert_int_equal(capture_name_relabel(result, cases[i].name, cases[i].label), 0);
		assert_string_equal(result, cases[i].result);
	}
	memset(long_name + 5, 'x', sizeof(long_name) - 6);
	assert_int_equal(capture_name_relabel(result, long_name, "a"), -EINVAL);
}

static void knows_who_shows_it(void **state)
{
	static const struct {
		const char *name, *ending;
		enum capture_viewer viewer;
	} cases[] = {
		{"a.pb.gz", ".pb.gz", CAPTURE_PPROF},
		{"a.prof", ".prof", CAPTURE_PPROF},
		{"a.b.pftrace", ".pftrace", CAPTURE_TIMELINE},
		{"a.perfetto-trace", ".perfetto-trace", CAPTURE_TIMELINE},
		{"a.txt", "", CAPTURE_NO_VIEWER},
		{".pb.gz", "", CAPTURE_NO_VIEWER},
		{"", "", CAPTURE_NO_VIEWER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(capture_name_ending(cases[i].name), cases[i].ending);
		assert_int_equal(capture_name_viewer(cases[i].name), cases[i].viewer);
	}
}

static void refuses_labels_that_are_no_names(void **state)
{
	static const char *const bad[] = {"", ".hidden", "-rf", "a/b", "..", "a..b", "a b", "a\nb",
		"\xc3\xa9", "a%2f", "<b>", "x\"y"};
	char long_label[CAPTURE_LABEL_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(capture_label_is_good(bad[i]));
	memset(long_label, 'x', CAPTURE_LABEL_BYTES);
	long_label[CAPTURE_LABEL_BYTES] = '\0';
	assert_false(capture_label_is_good(long_label));
	assert_true(capture_label_is_good("a.b_C-9"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_tells_all),
		cmocka_unit_test(the_longest_is_plain),
		cmocka_unit_test(reads_what_people_chose),
		cmocka_unit_test(gives_another_label),
		cmocka_unit_test(knows_who_shows_it),
		cmocka_unit_test(refuses_labels_that_are_no_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
