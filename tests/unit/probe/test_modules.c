#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "probe/modules.h"
#include "probe/symbolize.h"

#define REPORT_INTERVAL_MS 100 /* of modules.c */

static char directory[] = "/tmp/test-modules-XXXXXX";

static __attribute__((noipa)) int static_function(int number)
{
	return number * number;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void assert_ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	if (len < end_len || strcmp(text + len - end_len, end) != 0)
		fail_msg("\"%s\" does not end with \"%s\"", text, end);
}

static const char *name_of(void *address)
{
	return probe_symbolize((uintptr_t)address)->frames[0].function;
}

/* Compiles SOURCE to DIRECTORY/NAME, stripped. */
static void build_library(const char *name, const char *source)
{
	char command[PATH_MAX * 2];
	FILE *compiler;

	snprintf(command, sizeof(command),
		"gcc -x c - -O1 -shared -fPIC -fno-toplevel-reorder -Wl,--build-id -s -o %s/%s",
		directory, name);
	compiler = popen(command, "w");
	assert_non_null(compiler);
	fputs(source, compiler);
	assert_int_equal(pclose(compiler), 0);
}

static void *load_library(const char *name)
{
	char path[PATH_MAX];
	void *library;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	library = dlopen(path, RTLD_NOW);
	if (!library)
		fail_msg("%s", dlerror());
	return library;
}

/*
 * Without a symbol of its own, code lies behind an exported function: that neighbour's name would
 * be a lie.
 */
static void test_stripped_library(void **state)
{
	void *library;
	char *visible;
	void *(*hidden)(void);
	const struct probe_symbol *symbol;
	char expected[64];

	(void)state;
	build_library("libstripped.so",
		"int visible(int x) { return x + 1; }\n"
		"static __attribute__((noipa)) int secret(int x) { return x * 3; }\n"
		"void *hidden(void) { return (void *)secret; }\n");
	library = load_library("libstripped.so");
	sleep_ms(REPORT_INTERVAL_MS);
	visible = dlsym(library, "visible");
	hidden = (void *(*)(void))dlsym(library, "hidden");
	assert_string_equal(name_of(visible), "visible");
	assert_string_equal(name_of(visible + 1), "visible");
	symbol = probe_symbolize((uintptr_t)hidden());
	snprintf(expected, sizeof(expected), "libstripped.so+0x%lx",
		(unsigned long)((uintptr_t)hidden() - symbol->module->start));
	assert_string_equal(symbol->frames[0].function, expected);
	assert_string_equal(symbol->frames[0].file, "");
	assert_int_equal(symbol->frames[0].line, 0);
	assert_int_equal(symbol->function_start, 0);
	dlclose(library);
}

/*
 * Loads SECOND where FIRST was. Returns the address that both functions have had, or NULL: the
 * loader chose otherwise.
 */
static void *replace_library(void **library, const char *first, const char *second)
{
	void *library_before = load_library(first), *address_before, *address;

	sleep_ms(REPORT_INTERVAL_MS);
	address_before = dlsym(library_before, "function_a");
	assert_string_equal(name_of(address_before), "function_a");
	dlclose(library_before);
	if (strcmp(first, second) == 0)
		build_library(second, "int function_b(int x) { return x + 7; }\n");
	*library = load_library(second);
	address = dlsym(*library, "function_b");
	return address == address_before ? address : NULL;
}

static void assert_no_stale_name(const char *first, const char *second)
{
	void *library, *address;

	build_library("liba.so", "int function_a(int x) { return x + 5; }\n");
	build_library("libb.so", "int function_b(int x) { return x + 7; }\n");
	address = replace_library(&library, first, second);
	if (!address)
		skip();
	/* Too early to look again: no name is fine, the old one is not. */
	assert_string_not_equal(name_of(address), "function_a");
	sleep_ms(REPORT_INTERVAL_MS);
	assert_string_equal(name_of(address), "function_b");
	dlclose(library);
}

static void test_other_library_at_same_place(void **state)
{
	(void)state;
	assert_no_stale_name("liba.so", "libb.so");
}

static void test_other_library_under_same_name(void **state)
{
	(void)state;
	assert_no_stale_name("liba.so", "liba.so");
}

/* An upgrade while the program runs: the file on disk tells nothing about what is in memory. */
static void test_library_replaced_on_disk(void **state)
{
	void *library, *address;
	const struct probe_symbol *symbol;

	(void)state;
	build_library("libold.so", "int function_a(int x) { return x + 5; }\n");
	library = load_library("libold.so");
	address = dlsym(library, "function_a");
	build_library("libold.so", "int function_b(int x) { return x + 7; }\n");
	sleep_ms(REPORT_INTERVAL_MS);
	symbol = probe_symbolize((uintptr_t)address);
	assert_ends_with(symbol->module->path, "/libold.so");
	assert_memory_equal(symbol->frames[0].function, "libold.so+0x", 12);
	dlclose(library);
}

static void test_unloaded_library(void **state)
{
	void *library, *address;

	(void)state;
	build_library("libgone.so", "int function_a(int x) { return x + 5; }\n");
	library = load_library("libgone.so");
	sleep_ms(REPORT_INTERVAL_MS);
	address = dlsym(library, "function_a");
	assert_string_equal(name_of(address), "function_a");
	dlclose(library);
	sleep_ms(REPORT_INTERVAL_MS);
	assert_null(probe_symbolize((uintptr_t)address)->module);
	assert_string_equal(name_of(static_function), "static_function");
}

/* Loading and unloading all the time must not cost the program's own names. */
static void test_names_during_a_load_storm(void **state)
{
	(void)state;
	build_library("libstorm.so", "int function_a(int x) { return x + 5; }\n");
	for (int i = 0; i < 300; i++) {
		dlclose(load_library("libstorm.so"));
		assert_string_equal(name_of(static_function), "static_function");
		assert_string_equal(name_of(dlsym(RTLD_DEFAULT, "getpid")), "getpid");
	}
}

static void test_without_descriptors_left(void **state)
{
	struct rlimit limit, low;
	void *library;
	const char *name;

	(void)state;
	build_library("liblast.so", "int last_function(int x) { return x + 5; }\n");
	library = load_library("liblast.so");
	sleep_ms(REPORT_INTERVAL_MS);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	name = name_of(dlsym(library, "last_function"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_string_equal(name, "last_function");
	dlclose(library);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(directory) ? modules_init() : -1;
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
		cmocka_unit_test(test_stripped_library),
		cmocka_unit_test(test_other_library_at_same_place),
		cmocka_unit_test(test_other_library_under_same_name),
		cmocka_unit_test(test_library_replaced_on_disk),
		cmocka_unit_test(test_unloaded_library),
		cmocka_unit_test(test_names_during_a_load_storm),
		cmocka_unit_test(test_without_descriptors_left),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
