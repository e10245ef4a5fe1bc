/* What the patient says of itself, and what a hostile one might. */
#include "../support/test.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/strbuf.h"
#include "desk/patient_read.h"

static const char real[] = "# HELP process_open_fds Open file descriptors.\n"
			   "# TYPE process_open_fds gauge\n"
			   "process_open_fds 49\n"
			   "app_http_connections_open{role=\"client\"} 3\n"
			   "app_http_connections_open{role=\"server\"} 2\n"
			   "app_pid 7\n"
			   "process_start_time_seconds 1795284936.25\n"
			   "process_cpu_seconds_total 0.25\n"
			   "process_resident_memory_bytes 93282304\n"
			   "app_threads 28\n"
			   "app_heap_allocated_bytes 2.0231288e+07\n"
			   "app_heap_inuse_bytes 22691840\n"
			   "app_step{number=\"6\",name=\"fd_leak\",variant=\"fixed\"} 1\n"
			   "app_request_duration_seconds_bucket{step=\"none\",le=\"+Inf\"} 1\n"
			   "app_request_duration_seconds_sum{step=\"none\"} 0.5\n"
			   "app_request_duration_seconds_count{step=\"none\"} 1\n"
			   "app_request_duration_seconds_sum{step=\"cpu\"} 5\n"
			   "app_request_duration_seconds_count{step=\"cpu\"} 2\n";

static struct patient_numbers read_well(const char *text)
{
	struct patient_numbers numbers;

	if (patient_read_numbers(text, &numbers) != 0)
		fail_msg("not read: %s", text);
	return numbers;
}

static void reads_what_the_patient_says(void **state)
{
	struct patient_numbers numbers = read_well(real);

	(void)state;
	assert_true(numbers.pid == 7);
	assert_true(numbers.start_s == 1795284936.25);
	assert_true(numbers.cpu_s == 0.25);
	assert_true(numbers.rss_bytes == 93282304);
	assert_true(numbers.heap_in_use_bytes == 22691840);
	assert_true(numbers.heap_allocated_bytes == 20231288);
	assert_true(numbers.threads == 28);
	assert_true(numbers.fds == 49);
	assert_true(numbers.connections == 5);
	assert_true(numbers.answers == 3);
	assert_true(numbers.answers_s == 5.5);
	assert_int_equal(numbers.step, 6);
	assert_string_equal(numbers.variant, "fixed");
}

static void what_is_not_said_is_not_known(void **state)
{
	struct patient_numbers numbers = read_well("app_threads 28");

	(void)state;
	assert_true(numbers.threads == 28);
	assert_true(isnan(numbers.fds));
	assert_true(isnan(numbers.answers));
	assert_int_equal(numbers.step, -1);
	assert_string_equal(numbers.variant, "");
}

static void other_texts_are_no_patients(void **state)
{
	static const char *const others[] = {"", "\n\n", "hello world\n", "app_threads",
		"app_threads ", "app_threads  28", "app_threads\t28", " app_threads 28",
		"app_threads{ 28", "app_threads{a=\"} 28\"", "app_threads{a=\"\\\"} 28",
		"app_threadsx 28", "app_thread 28", "app_threads NaN", "app_threads +Inf",
		"app_threads -1", "app_threads 0x10", "app_threads 1e400", "app_threads 1e19",
		"app_threads 28x", "app_threads --1", "app_threads 1.2.3", "app_threads .",
		"app_threads e",
		"app_threads 00000000000000000000000000000000000000000000000000000028",
		"#app_threads 28", "<html>app_threads 28</html>"};
	struct patient_numbers numbers;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (patient_read_numbers(others[i], &numbers) != -EBADMSG)
			fail_msg("read: %s", others[i]);
}

static void a_bad_line_costs_itself_alone(void **state)
{
	struct patient_numbers numbers = read_well(
		"app_threads{a=\"\nprocess_open_fds 49\napp_pid NaN\n");

	(void)state;
	assert_true(numbers.fds == 49);
	assert_true(isnan(numbers.threads));
	assert_true(isnan(numbers.pid));
}

static void a_step_is_a_step(void **state)
{
	static const char *const bad[] = {"", "number=\"6\"", "variant=\"leaky\"",
		"number=\"-1\",variant=\"leaky\"", "number=\"32\",variant=\"leaky\"",
		"number=\"6x\",variant=\"leaky\"", "number=\"6\",variant=\"<script>\"",
		"number=\"6\",variant=\"leakyleakyleaky\"", "number=6,variant=\"leaky\"",
		"number=\"6,variant=\"leaky\"", "xnumber=\"6\",variant=\"leaky\"",
		"name=\"number=\\\"6\\\",variant=\\\"leaky\\\"\"",
		"number=\"99999999999999999999\",variant=\"leaky\""};
	struct strbuf text = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		text.len_bytes = 0;
		strbuf_printf(&text, "app_pid 1\napp_step{%s} 1\n", bad[i]);
		if (read_well(text.data).step != -1)
			fail_msg("read: %s", bad[i]);
	}
	strbuf_free(&text);
	assert_int_equal(
		read_well("app_pid 1\napp_step{variant=\"leaky\",number=\"0\"} 1\n").step, 0);
}

static void expect_sane(const struct patient_numbers *numbers)
{
	const double values[] = {numbers->pid, numbers->start_s, numbers->cpu_s, numbers->rss_bytes,
		numbers->heap_in_use_bytes, numbers->heap_allocated_bytes, numbers->threads,
		numbers->fds, numbers->connections, numbers->answers, numbers->answers_s};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_true(isnan(values[i]) || (values[i] >= 0 && values[i] < INFINITY));
	assert_in_range(numbers->step + 1, 0, PATIENT_STEPS_MAX);
	assert_true(memchr(numbers->variant, '\0', sizeof(numbers->variant)) != NULL);
}

/* Under the sanitizers this is what finds a byte too many. */
static void any_bytes_may_come(void **state)
{
	static const char bytes[] = "\n{}\"\\=, 0123456789.eE+-#\xff\x80\x01";
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len_bytes = sizeof(real) - 1 - (size_t)rand_r(&seed) % (sizeof(real) / 2);
		struct patient_step steps[PATIENT_STEPS_MAX];
		struct patient_numbers numbers;
		char *text = malloc(len_bytes + 1);
		size_t count;

		memcpy(text, real, len_bytes);
		text[len_bytes] = '\0';
		for (int i = 0; i < 8; i++)
			text[(size_t)rand_r(&seed) % len_bytes] =
				bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)];
		(void)!patient_read_numbers(text, &numbers);
		expect_sane(&numbers);
		(void)!patient_read_steps(text, steps, &count);
		free(text);
	}
}

static void reads_the_steps(void **state)
{
	static const char text[] = "step 0\n\n/goto?step=0  none             answers at once\n"
				   "/goto?step=7  connection leak  asks the upstream\n\n"
				   "&variant=fixed does the same work without the fault\n";
	struct patient_step steps[PATIENT_STEPS_MAX];
	size_t count;

	(void)state;
	assert_int_equal(patient_read_steps(text, steps, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(steps[0].name, "none");
	assert_string_equal(steps[0].does, "answers at once");
	assert_int_equal(steps[1].number, 7);
	assert_string_equal(steps[1].name, "connection leak");
	assert_string_equal(steps[1].does, "asks the upstream");
}

static void no_more_steps_than_there_is_room_for(void **state)
{
	static const char *const bad[] = {"", "/goto?step=", "/goto?step=1", "/goto?step=1  a",
		"/goto?step=1 a  b", "/goto?step=x  a  b", "/goto?step=-1  a  b",
		"/goto?step=1  a name that is far too long for a step  b", "goto?step=1  a  b"};
	struct patient_step steps[PATIENT_STEPS_MAX];
	struct strbuf text = STRBUF_INIT;
	size_t count;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (patient_read_steps(bad[i], steps, &count) != -EBADMSG)
			fail_msg("read: %s", bad[i]);
	for (int i = 0; i < 100; i++)
		strbuf_puts(&text, "/goto?step=1  name  does\n");
	assert_int_equal(patient_read_steps(text.data, steps, &count), 0);
	assert_int_equal(count, PATIENT_STEPS_MAX);
	text.len_bytes = 0;
	strbuf_puts(&text, "/goto?step=1  name  ");
	for (int i = 0; i < 10000; i++)
		strbuf_puts(&text, "does ");
	assert_int_equal(patient_read_steps(text.data, steps, &count), -EBADMSG);
	strbuf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_patient_says),
		cmocka_unit_test(what_is_not_said_is_not_known),
		cmocka_unit_test(other_texts_are_no_patients),
		cmocka_unit_test(a_bad_line_costs_itself_alone),
		cmocka_unit_test(a_step_is_a_step),
		cmocka_unit_test(any_bytes_may_come),
		cmocka_unit_test(reads_the_steps),
		cmocka_unit_test(no_more_steps_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
