/* The file pair: its lines, its directory, and file-fixed on every path. */
#include "../support/test.h"

#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "leaks/file/files.h"

static char own_tmp[] = "/tmp/test-files-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(own_tmp) ? setenv("TMPDIR", own_tmp, 1) : -1;
}

/* Fails where something is left in it. */
static int tear_down(void **state)
{
	(void)state;
	return rmdir(own_tmp);
}

static int64_t fd_count(void)
{
	struct measure now;

	assert_int_equal(measure_take(0, &now), 0);
	return now.fd_count;
}

/* How many files match NAME below the directory that begin() made. */
static size_t file_count(const char *name)
{
	char pattern[256];
	glob_t found;
	size_t count;

	snprintf(pattern, sizeof(pattern), "%s/file-fixed-*/%s", own_tmp, name);
	count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return count;
}

static void test_lines(void **state)
{
	const struct measure now = {.fd_count = 108, .connection_count = 1, .thread_count = 2};
	char text[256] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	file_pair.say_start(out, &now);
	file_pair.say_state(out, &now, &(struct pair_counts){.taken = 100});
	file_pair.say_state(out, &now, &(struct pair_counts){.taken = 100, .given_back = 99});
	fclose(out);
	assert_string_equal(text, "Open file descriptors: 108\n"
				  "Open FDs: 108  |  Files opened: 100\n"
				  "Open FDs: 108  |  Files opened: 100  |  Files closed: 99\n");
	assert_int_equal(file_pair.held(&now), 108);
}

static void test_a_thousand_files_are_kept_and_all_removed(void **state)
{
	struct pair_counts counts = {0};
	int64_t before = fd_count();

	(void)state;
	assert_int_equal(file_pair.begin(&(struct pair_settings){0}), 0);
	for (int i = 0; i < 1003; i++)
		assert_int_equal(file_pair.act(&counts), 0);
	assert_int_equal(file_count("logfile_*.txt"), 1000);
	assert_int_equal(file_count("logfile_999.txt"), 1);
	assert_int_equal(counts.taken, 1003);
	assert_int_equal(counts.given_back, 1003);
	assert_int_equal(counts.failures, 0);
	assert_int_equal(fd_count(), before);
	file_pair.end();
	assert_int_equal(file_count(""), 0);
}

static void test_the_text_is_in_the_file(void **state)
{
	char path[64];
	struct strbuf text = STRBUF_INIT;

	(void)state;
	snprintf(path, sizeof(path), "%s/one", own_tmp);
	assert_int_equal(write_log_file(path, "a line\n", &(struct pair_counts){0}), 0);
	assert_int_equal(strbuf_read_file(&text, path, 100), 0);
	assert_string_equal(text.data, "a line\n");
	strbuf_free(&text);
	assert_int_equal(unlink(path), 0);
}

static void test_fixed_closes_when_writing_fails(void **state)
{
	struct rlimit limit, none;
	struct pair_counts counts = {0};
	int64_t before = fd_count();
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/one", own_tmp);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none = (struct rlimit){0, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(write_log_file(path, "a line\n", &counts), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(fd_count(), before);
	assert_int_equal(counts.taken, 1);
	assert_int_equal(counts.given_back, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write_log_file("/nonexistent/one", "a line\n", &counts), -ENOENT);
	assert_int_equal(counts.taken, 1);
}

static void test_a_directory_that_cannot_be_made(void **state)
{
	char too_long[300];

	(void)state;
	memset(too_long, 'x', sizeof(too_long));
	too_long[0] = '/';
	too_long[sizeof(too_long) - 1] = '\0';
	assert_int_equal(setenv("TMPDIR", too_long, 1), 0);
	assert_int_equal(file_pair.begin(&(struct pair_settings){0}), -ENAMETOOLONG);
	assert_int_equal(setenv("TMPDIR", "/nonexistent", 1), 0);
	assert_int_equal(file_pair.begin(&(struct pair_settings){0}), -ENOENT);
	assert_int_equal(setenv("TMPDIR", own_tmp, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_a_thousand_files_are_kept_and_all_removed),
		cmocka_unit_test(test_the_text_is_in_the_file),
		cmocka_unit_test(test_fixed_closes_when_writing_fails),
		cmocka_unit_test(test_a_directory_that_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
