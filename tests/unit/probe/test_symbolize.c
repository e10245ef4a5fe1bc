#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "probe/modules.h"
#include "probe/symbolize.h"

#define THREAD_COUNT 8
#define ADDRESS_COUNT 2000

static int innermost_line, middle_line, outer_line;

/* An address within the call, as an unwinder would give it. */
static __attribute__((noipa)) uintptr_t call_site(void)
{
	return (uintptr_t)__builtin_return_address(0) - 1;
}

static inline __attribute__((always_inline)) uintptr_t innermost(void)
{
	innermost_line = __LINE__ + 1;
	return call_site();
}

static inline __attribute__((always_inline)) uintptr_t middle(void)
{
	middle_line = __LINE__ + 1;
	return innermost();
}

static __attribute__((noipa)) uintptr_t outer(void)
{
	outer_line = __LINE__ + 1;
	return middle();
}

static const int static_function_line = __LINE__ + 1;
static __attribute__((noipa)) int static_function(int number)
{
	return number * number;
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

static void *libc_symbol(const char *name)
{
	/* Not RTLD_DEFAULT: a sanitizer has its own. */
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	void *symbol = dlsym(libc, name);

	assert_non_null(symbol);
	dlclose(libc);
	return symbol;
}

static void assert_frame(const struct probe_frame *frame, const char *function, int line)
{
	assert_string_equal(frame->function, function);
	assert_int_equal(frame->line, line);
	assert_int_equal(frame->file[0], '/');
	assert_ends_with(frame->file, "/tests/unit/probe/test_symbolize.c");
	assert_true(frame->function_line > 0);
}

static void test_inlined_chain(void **state)
{
	const struct probe_symbol *symbol = probe_symbolize(outer());

	(void)state;
	assert_int_equal(symbol->frame_count, 3);
	assert_frame(&symbol->frames[0], "innermost", innermost_line);
	assert_frame(&symbol->frames[1], "middle", middle_line);
	assert_frame(&symbol->frames[2], "outer", outer_line);
	assert_true(symbol->function_start == (uintptr_t)outer);
}

static void test_static_function(void **state)
{
	const struct probe_symbol *symbol = probe_symbolize((uintptr_t)static_function);

	(void)state;
	assert_int_equal(symbol->frame_count, 1);
	assert_frame(&symbol->frames[0], "static_function", symbol->frames[0].line);
	assert_int_equal(symbol->frames[0].function_line, static_function_line);
	assert_true(symbol->frames[0].line - static_function_line <= 2);
	assert_true(symbol->function_start == (uintptr_t)static_function);
}

static void test_main_module(void **state)
{
	const struct probe_module *module = probe_main_module();
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	(void)state;
	assert_true(len > 0);
	path[len] = '\0';
	assert_non_null(module);
	assert_string_equal(module->path, path);
	assert_true(strlen(module->build_id) >= 16);
	assert_true(module->start <= (uintptr_t)outer && (uintptr_t)outer < module->end);
	assert_ptr_equal(probe_symbolize((uintptr_t)outer)->module, module);
}

static void test_libc_names(void **state)
{
	const struct probe_symbol *symbol = probe_symbolize((uintptr_t)libc_symbol("qsort"));

	(void)state;
	assert_string_equal(symbol->frames[symbol->frame_count - 1].function, "qsort");
	assert_ends_with(symbol->module->path, "libc.so.6");
	/* libc calls it __getrandom inside, and read __libc_read. */
	assert_string_equal(name_of(libc_symbol("getrandom")), "getrandom");
	assert_string_equal(name_of(libc_symbol("read")), "read");
	if (getenv("SICKBAY_IN_DEV")) {
		assert_ends_with(symbol->frames[0].file, "stdlib/msort.c");
		assert_true(symbol->frames[0].line > 0);
	}
}

static void test_vdso(void **state)
{
	uintptr_t start = getauxval(AT_SYSINFO_EHDR);

	(void)state;
	if (!start)
		skip();
	assert_string_equal(probe_symbolize(start)->module->path, "[vdso]");
	assert_string_equal(name_of((void *)start), "[vdso]+0x0");
}

static void test_outside_every_module(void **state)
{
	const struct probe_symbol *symbol = probe_symbolize(0);
	char expected[32];
	int local;

	(void)state;
	assert_string_equal(symbol->frames[0].function, "0x0");
	assert_string_equal(symbol->frames[0].file, "");
	assert_null(symbol->module);
	symbol = probe_symbolize(UINTPTR_MAX);
	assert_string_equal(symbol->frames[0].function, "0xffffffffffffffff");
	assert_null(symbol->module);
	/* The stack lies above the last module, not in it. */
	snprintf(expected, sizeof(expected), "0x%lx", (unsigned long)&local);
	assert_string_equal(name_of(&local), expected);
}

static void test_same_address_same_symbol(void **state)
{
	(void)state;
	assert_ptr_equal(probe_symbolize((uintptr_t)outer), probe_symbolize((uintptr_t)outer));
}

static size_t library_descriptor_count(void)
{
	DIR *descriptors = opendir("/proc/self/fd");
	char path[PATH_MAX];
	size_t count = 0;

	for (struct dirent *entry; (entry = readdir(descriptors));) {
		ssize_t len = readlinkat(dirfd(descriptors), entry->d_name, path, sizeof(path) - 1);

		path[len > 0 ? len : 0] = '\0';
		count += strstr(path, ".so") || strstr(path, ".debug") || strstr(path, "test_symb");
	}
	closedir(descriptors);
	return count;
}

/* lsof on the patient shows the patient's descriptors, not ours. */
static void test_keeps_no_descriptors(void **state)
{
	(void)state;
	probe_symbolize((uintptr_t)libc_symbol("qsort"));
	probe_symbolize((uintptr_t)outer);
	assert_int_equal(library_descriptor_count(), 0);
}

static void *symbolize_many(void *arg)
{
	const struct probe_symbol **symbols = arg;
	uintptr_t start = (uintptr_t)libc_symbol("qsort");

	for (size_t i = 0; i < ADDRESS_COUNT; i++)
		symbols[i] = probe_symbolize(start + i * 16);
	return NULL;
}

static void test_many_threads(void **state)
{
	static const struct probe_symbol *symbols[THREAD_COUNT][ADDRESS_COUNT];
	pthread_t threads[THREAD_COUNT];

	(void)state;
	for (size_t i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, symbolize_many, symbols[i]), 0);
	for (size_t i = 0; i < THREAD_COUNT; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 1; i < THREAD_COUNT; i++)
		assert_memory_equal(symbols[i], symbols[0], sizeof(symbols[0]));
}

/* Fills the cache for good: must run last. */
static void test_cache_is_bounded(void **state)
{
	const struct probe_symbol *known = probe_symbolize((uintptr_t)outer), *symbol;

	(void)state;
	assert_int_equal(probe_symbol_refused_count(), 0);
	for (uintptr_t pc = 1; pc <= PROBE_SYMBOL_CACHE_MAX; pc++)
		probe_symbolize(pc);
	symbol = probe_symbolize(PROBE_SYMBOL_CACHE_MAX);
	assert_int_equal(symbol->frame_count, 1);
	assert_null(symbol->module);
	assert_true(probe_symbol_refused_count() > 0);
	assert_ptr_equal(probe_symbolize((uintptr_t)outer), known);
}

static int set_up(void **state)
{
	(void)state;
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inlined_chain),
		cmocka_unit_test(test_static_function),
		cmocka_unit_test(test_main_module),
		cmocka_unit_test(test_libc_names),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_outside_every_module),
		cmocka_unit_test(test_same_address_same_symbol),
		cmocka_unit_test(test_keeps_no_descriptors),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_cache_is_bounded),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
