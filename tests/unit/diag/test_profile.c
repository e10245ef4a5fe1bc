#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "diag/profile.h"
#include "probe/modules.h"
#include "probe/symbolize.h"

#define OUTPUT_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define STACK_COUNT 1000
#define STACK_DEPTH 20

static char directory[] = "/tmp/test-profile-XXXXXX";
static int inlined_line, outer_line;

/* An address within the call, as an unwinder would give it. */
static __attribute__((noipa)) uintptr_t call_site(void)
{
	return (uintptr_t)__builtin_return_address(0) - 1;
}

static inline __attribute__((always_inline)) uintptr_t inlined_function(void)
{
	inlined_line = __LINE__ + 1;
	return call_site();
}

static __attribute__((noipa)) uintptr_t outer_function(void)
{
	outer_line = __LINE__ + 1;
	return inlined_function();
}

static __attribute__((noipa)) uintptr_t caller_function(void)
{
	return call_site();
}

static struct profile *cpu_profile(const char *default_type)
{
	return profile_create(&(struct profile_config){
		.values = {{"samples", "count"}, {"cpu", "nanoseconds"}},
		.value_count = 2,
		.period_type = {"cpu", "nanoseconds"},
		.period = 10000000,
		.default_type = default_type,
	});
}

static void add(struct profile *profile, const uintptr_t *pcs, size_t pc_count, int64_t samples)
{
	int64_t values[] = {samples, samples * 10000000};

	profile_add_sample(profile, pcs, pc_count, values, NULL, 0);
}

/* Encodes into DIRECTORY/profile.pb.gz, and ends the builder. */
static void save(struct profile *profile)
{
	struct strbuf out = STRBUF_INIT;
	char path[sizeof(directory) + 32];
	FILE *file;

	assert_int_equal(profile_encode(profile, &out), 0);
	profile_free(profile);
	snprintf(path, sizeof(path), "%s/profile.pb.gz", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(out.data, 1, out.len_bytes, file), out.len_bytes);
	assert_int_equal(fclose(file), 0);
	strbuf_free(&out);
}

/* A tool that the dev image has may be missing elsewhere. */
static void need(const char *tool)
{
	char command[64];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
	if (system(command) == 0)
		return;
	if (getenv("SICKBAY_IN_DEV"))
		fail_msg("%s is missing", tool);
	skip();
}

/*
 * What COMMAND says of the profile, run where neither sources nor program are. The caller frees it.
 */
static char *told_by(const char *command)
{
	char *line = NULL;
	struct strbuf text = STRBUF_INIT;
	FILE *tool;

	assert_true(asprintf(&line, "cd %s/empty && %s", directory, command) > 0);
	tool = popen(line, "r");
	assert_non_null(tool);
	assert_int_equal(strbuf_read_fd(&text, fileno(tool), OUTPUT_BYTES_MAX), 0);
	if (pclose(tool) != 0)
		fail_msg("%s failed: %s", line, text.data ? text.data : "");
	free(line);
	strbuf_puts(&text, "");
	return strbuf_detach(&text);
}

static void assert_tells(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void assert_told_by(const char *command, const char *part)
{
	char *text = told_by(command);

	assert_tells(text, part);
	free(text);
}

static size_t occurrences(const char *text, const char *part)
{
	size_t count = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		count++;
	}
	return count;
}

static void test_read_by_protoc(void **state)
{
	uintptr_t pcs[] = {outer_function(), caller_function()};
	struct profile *profile = cpu_profile(NULL);
	char *text;

	(void)state;
	need("protoc");
	add(profile, pcs, 2, 3);
	profile_set_time(profile, 1531404224000000000, 5000000000);
	save(profile);
	text = told_by("gunzip -c ../profile.pb.gz | protoc --proto_path=\"$SOURCES\" "
		       "--decode=perftools.profiles.Profile \"$SOURCES\"/proto/profile.proto");
	assert_tells(text, "location_id: 1\n  location_id: 2\n  value: 3\n  value: 30000000\n");
	assert_tells(text, "string_table: \"\"\n");
	assert_tells(text, "string_table: \"inlined_function\"\n");
	assert_tells(text, "time_nanos: 1531404224000000000\nduration_nanos: 5000000000\n");
	assert_tells(text, "period: 10000000\n");
	assert_int_equal(occurrences(text, "\nsample {"), 1);
	assert_int_equal(occurrences(text, "\nlocation {"), 2);
	assert_int_equal(
		occurrences(text, "has_inline_frames: true"), occurrences(text, "\nmapping {"));
	free(text);
}

/* pprof has the field numbers from their owner. */
static void test_read_by_pprof(void **state)
{
	struct profile *profile = cpu_profile(NULL);
	uintptr_t pcs[] = {outer_function(), caller_function()};
	const struct probe_module *module = probe_main_module();
	char expected[PATH_MAX], *text;

	(void)state;
	need("pprof");
	add(profile, pcs, 2, 3);
	save(profile);
	text = told_by("pprof -raw ../profile.pb.gz 2>&1");
	assert_tells(text, "PeriodType: cpu nanoseconds\nPeriod: 10000000\n");
	assert_tells(text, "samples/count cpu/nanoseconds\n          3   30000000: 1 2 \n");
	snprintf(expected, sizeof(expected), "test_profile.c:%d", inlined_line);
	assert_tells(strstr(text, "M=1 inlined_function /"), expected);
	snprintf(expected, sizeof(expected), "test_profile.c:%d", outer_line);
	assert_tells(strstr(text, " outer_function /"), expected);
	assert_tells(text, " caller_function /");
	snprintf(expected, sizeof(expected),
		"Mappings\n1: 0x%lx/0x%lx/0x%lx %s %s [FN][FL][LN][IN]", module->text_start,
		module->text_end, (unsigned long)module->text_offset, module->path,
		module->build_id);
	/* A mapping that began before the code would leave pprof's Source view empty. */
	assert_true(module->text_start > module->start && module->text_offset > 0);
	assert_tells(text, expected);
	free(text);
	assert_told_by("pprof -top ../profile.pb.gz 2>&1",
		"      30ms   100%   100%       30ms   100%  inlined_function (inline)\n");
}

static void test_merges_equal_samples(void **state)
{
	struct profile *profile = cpu_profile(NULL);
	uintptr_t first[] = {outer_function(), caller_function()};
	uintptr_t second[] = {caller_function()}, nothing[] = {second[0], first[0]};
	char *text;

	(void)state;
	need("pprof");
	/* As in the difference of two snapshots: nothing is left of it, no location either. */
	add(profile, nothing, 2, -7);
	add(profile, nothing, 2, 7);
	add(profile, first, 2, 1);
	add(profile, second, 1, 10);
	add(profile, first, 2, 4);
	add(profile, second, 1, 20);
	save(profile);
	text = told_by("pprof -raw ../profile.pb.gz");
	assert_tells(text, "\n          5   50000000: 1 2 \n         30  300000000: 2 \nLocations");
	free(text);
}

static void test_labels(void **state)
{
	const struct profile_label labels[][2] = {
		{{.key = "thread", .text = "worker"},
			{.key = "size", .number = 4, .unit = "bytes"}},
		{{.key = "thread", .text = "worker"},
			{.key = "size", .number = 8, .unit = "bytes"}},
	};
	struct profile *profile = cpu_profile(NULL);
	uintptr_t pc = caller_function();
	int64_t values[] = {1, 10000000};
	char *text;

	(void)state;
	need("pprof");
	for (int i = 0; i < 6; i++)
		profile_add_sample(profile, &pc, 1, values, labels[i % 3 == 2], 2);
	save(profile);
	text = told_by("pprof -raw ../profile.pb.gz");
	assert_tells(text, "          4   40000000: 1 \n                thread:[worker]\n"
			   "                size:[4 bytes]\n");
	assert_tells(text, "          2   20000000: 1 \n                thread:[worker]\n"
			   "                size:[8 bytes]\n");
	free(text);
}

static void test_samples_without_a_stack(void **state)
{
	struct profile *profile = cpu_profile(NULL);
	uintptr_t zero = 0;
	char *text;

	(void)state;
	need("pprof");
	add(profile, NULL, 0, 2);
	add(profile, NULL, 0, 5);
	/* Not the same as address 0. */
	add(profile, &zero, 1, 1);
	save(profile);
	text = told_by("pprof -top -sample_index=samples ../profile.pb.gz 2>&1");
	assert_tells(text, "         7 87.50% 87.50%          7 87.50%  [no stack]\n");
	assert_tells(text, "         1 12.50%   100%          1 12.50%  0x0\n");
	free(text);
}

static void test_comment_and_default_type(void **state)
{
	struct profile *profile = cpu_profile("samples");
	uintptr_t pc = caller_function();
	char *text;

	(void)state;
	need("pprof");
	add(profile, &pc, 1, 3);
	profile_set_comment(profile, "12 samples were dropped");
	save(profile);
	text = told_by("pprof -raw ../profile.pb.gz");
	assert_tells(text, "samples/count[dflt] cpu/nanoseconds\n");
	free(text);
	assert_told_by("pprof -comments ../profile.pb.gz", "12 samples were dropped\n");
	assert_told_by("pprof -top ../profile.pb.gz 2>&1", "Type: samples\n");
}

static void test_without_samples(void **state)
{
	char *text;

	(void)state;
	need("pprof");
	save(cpu_profile(NULL));
	text = told_by("pprof -raw ../profile.pb.gz");
	assert_tells(text, "Samples:\nsamples/count cpu/nanoseconds\nLocations\nMappings\n1: 0x");
	free(text);
}

static void test_sums_do_not_overflow(void **state)
{
	struct profile *profile = cpu_profile(NULL);
	uintptr_t pc = caller_function();
	int64_t values[] = {INT64_MAX - 1, INT64_MIN + 1};

	(void)state;
	need("pprof");
	profile_add_sample(profile, &pc, 1, values, NULL, 0);
	profile_add_sample(profile, &pc, 1, values, NULL, 0);
	save(profile);
	assert_told_by(
		"pprof -raw ../profile.pb.gz", "9223372036854775807 -9223372036854775808: 1");
}

/* The same profile gives the same bytes, behind what OUT had before. */
static void test_appends_equal_bytes(void **state)
{
	static const uint8_t gzip_without_time[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
	struct profile *profile = cpu_profile(NULL);
	struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	uintptr_t pc = caller_function();

	(void)state;
	add(profile, &pc, 1, 1);
	strbuf_puts(&second, "before");
	assert_int_equal(profile_encode(profile, &first), 0);
	assert_int_equal(profile_encode(profile, &second), 0);
	profile_free(profile);
	assert_int_equal(second.len_bytes, first.len_bytes + 6);
	assert_memory_equal(second.data, "before", 6);
	assert_memory_equal(second.data + 6, first.data, first.len_bytes);
	assert_memory_equal(first.data, gzip_without_time, sizeof(gzip_without_time));
	strbuf_free(&first);
	strbuf_free(&second);
}

/* Libraries that nobody knows the insides of, and enough of everything for every table to grow. */
static void test_many_stacks(void **state)
{
	struct profile *profile = cpu_profile(NULL);
	uintptr_t start = probe_main_module()->start, pcs[STACK_DEPTH];
	char *text;

	(void)state;
	need("pprof");
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < STACK_COUNT; i++) {
			for (size_t j = 0; j < STACK_DEPTH; j++)
				pcs[j] = start + (i + j * 7) * 4;
			add(profile, pcs, STACK_DEPTH, 1);
		}
	}
	save(profile);
	text = told_by("pprof -raw ../profile.pb.gz");
	assert_int_equal(occurrences(text, "\n          2   20000000: "), STACK_COUNT);
	assert_int_equal(occurrences(text, " M=1 "), STACK_COUNT + (STACK_DEPTH - 1) * 7);
	free(text);
}

static void test_free_of_nothing(void **state)
{
	(void)state;
	profile_free(NULL);
}

static int set_up(void **state)
{
	char path[sizeof(directory) + 16], sources[PATH_MAX];

	(void)state;
	if (!realpath("services", sources) || !mkdtemp(directory) || modules_init() != 0)
		return -1;
	setenv("SOURCES", sources, 1);
	snprintf(path, sizeof(path), "mkdir %s/empty", directory);
	setenv("PPROF_TMPDIR", directory, 1);
	return system(path);
}

static int tear_down(void **state)
{
	char command[sizeof(directory) + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_by_protoc),
		cmocka_unit_test(test_read_by_pprof),
		cmocka_unit_test(test_merges_equal_samples),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_samples_without_a_stack),
		cmocka_unit_test(test_comment_and_default_type),
		cmocka_unit_test(test_without_samples),
		cmocka_unit_test(test_sums_do_not_overflow),
		cmocka_unit_test(test_appends_equal_bytes),
		cmocka_unit_test(test_many_stacks),
		cmocka_unit_test(test_free_of_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
