#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "probe/source_path.h"

static void test_spellings(void **state)
{
	static const struct {
		const char *directory, *file, *expected;
	} cases[] = {
		{"/src/sickbay", "services/app/main.c", "/src/sickbay/services/app/main.c"},
		{"/src/sickbay", "/usr/include/stdio.h", "/usr/include/stdio.h"},
		{"/src/sickbay/", "./services//app/./main.c", "/src/sickbay/services/app/main.c"},
		{"/src/sickbay/build", "../services/x.c", "/src/sickbay/services/x.c"},
		{"/", "x.c", "/x.c"},
		{"/a", "../../../x.c", "/x.c"},
		{"/a", "b...c/..x", "/a/b...c/..x"},
		{NULL, "/a/b/../x.c", "/a/x.c"},
		{NULL, "x.c", "x.c"},
		/* As Debian builds libc. */
		{"./io", "../sysdeps/read.c", "sysdeps/read.c"},
		{"./stdlib", "./stdlib/msort.c", "stdlib/stdlib/msort.c"},
		{"./io", "../../../x.c", "x.c"},
		{"/src", NULL, ""},
		{NULL, NULL, ""},
		{NULL, "", ""},
	};
	char path[SOURCE_PATH_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		source_path_absolute(path, cases[i].directory, cases[i].file);
		assert_string_equal(path, cases[i].expected);
	}
}

static void test_long_path_is_cut(void **state)
{
	char path[SOURCE_PATH_BYTES], file[SOURCE_PATH_BYTES * 2];

	(void)state;
	memset(file, 'a', sizeof(file) - 1);
	file[sizeof(file) - 1] = '\0';
	source_path_absolute(path, "/src", file);
	assert_string_equal(path, "/src");
	for (size_t i = 1; i < sizeof(file) - 1; i += 2)
		file[i] = '/';
	source_path_absolute(path, "/src", file);
	assert_true(strlen(path) >= SOURCE_PATH_BYTES - 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_long_path_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
