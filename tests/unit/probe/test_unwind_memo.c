/* Walks that are remembered must be those that would be made. */
#include "../support/test.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "probe/capture.h"
#include "probe/modules.h"
#include "probe/symbolize.h"
#include "probe/thread.h"
#include "probe/unwind.h"
#include "probe/unwind_memo.h"

#define REPORT_INTERVAL_MS 100 /* of modules.c */

/* Not on the stack, where they would make copies differ. */
static uintptr_t pcs[PROBE_STACK_MAX], pcs_before[PROBE_STACK_MAX];

static const char *name_of(uintptr_t pc)
{
	return probe_symbolize(pc)->frames[0].function;
}

static TEST_FRAME size_t walk(void)
{
	memset(pcs, 0, sizeof(pcs));
	return probe_stack_here(pcs, PROBE_STACK_MAX);
}

/* Two of one shape: their stacks differ in a return address alone. */
static TEST_FRAME size_t sell(void)
{
	size_t count = walk();

	return count;
}

static TEST_FRAME size_t lend(void)
{
	size_t count = walk();

	return count;
}

static void test_the_same_stack_gives_the_same_walk(void **state)
{
	size_t count_before = 0, count;

	(void)state;
	for (int i = 0; i < 10; i++) {
		count = sell();
		assert_true(count > 4);
		assert_string_equal(name_of(pcs[1]), "walk");
		assert_string_equal(name_of(pcs[2]), "sell");
		assert_string_equal(name_of(pcs[3]), "test_the_same_stack_gives_the_same_walk");
		if (i > 0) {
			assert_int_equal(count, count_before);
			assert_memory_equal(pcs, pcs_before, sizeof(pcs));
		}
		count_before = count;
		memcpy(pcs_before, pcs, sizeof(pcs));
	}
}

static void test_another_return_address_gives_another_walk(void **state)
{
	static size_t (*const callers[])(void) = {sell, lend};
	static const char *const names[] = {"sell", "lend"};

	(void)state;
	for (int i = 0; i < 20; i++) {
		callers[i % 2]();
		assert_string_equal(name_of(pcs[2]), names[i % 2]);
	}
}

static TEST_FRAME size_t recurse(int depth)
{
	size_t count = depth > 0 ? recurse(depth - 1) : walk();

	return count;
}

static void test_another_depth_gives_another_walk(void **state)
{
	size_t shallow = recurse(0);

	(void)state;
	for (int depth = 0; depth < 20; depth++)
		for (int round = 0; round < 2; round++)
			assert_int_equal(recurse(depth), shallow + (size_t)depth);
}

/* ---- one library in another's place ---- */

#ifdef __x86_64__

static char directory[] = "/tmp/test-unwind-memo-XXXXXX";

/*
 * Calls back with an address of its own on the stack, below the real return address. The two
 * libraries differ in nothing but what their unwinding tables say: where the caller's frame begins.
 */
static const char library_source[] = ".globl call_back\n"
				     ".type call_back, @function\n"
				     "call_back:\n"
				     ".cfi_startproc\n"
				     "lea decoy+1(%%rip), %%rax\n"
				     "push %%rax\n"
				     "push $0\n"
				     "push $0\n"
				     ".cfi_def_cfa_offset %d\n"
				     "call *%%rdi\n"
				     "add $24, %%rsp\n"
				     ".cfi_def_cfa_offset 8\n"
				     "ret\n"
				     ".cfi_endproc\n"
				     ".size call_back, .-call_back\n"
				     ".type decoy, @function\n"
				     "decoy:\n"
				     ".cfi_startproc\n"
				     "nop\n"
				     "ret\n"
				     ".cfi_endproc\n"
				     ".size decoy, .-decoy\n"
				     ".section .note.GNU-stack, \"\", @progbits\n";

static void build_library(const char *name, int cfa_offset)
{
	char command[PATH_MAX * 2];
	FILE *compiler;

	snprintf(command, sizeof(command),
		"gcc -x assembler - -shared -nostdlib -Wl,--build-id -o %s/%s", directory, name);
	compiler = popen(command, "w");
	assert_non_null(compiler);
	fprintf(compiler, library_source, cfa_offset);
	assert_int_equal(pclose(compiler), 0);
}

/* From then on what is mapped may be looked at again. */
static void wait_for_report(void)
{
	nanosleep(&(struct timespec){.tv_nsec = REPORT_INTERVAL_MS * 1000000}, NULL);
}

static void *load_library(const char *name)
{
	char path[PATH_MAX];
	void *library;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	library = dlopen(path, RTLD_NOW);
	assert_non_null(library);
	wait_for_report();
	return library;
}

/*
 * All that differs between the two libraries is kept here, so that the stack is the same for both.
 */
static struct {
	size_t (*call_back)(size_t (*walker)(void));
	void *handle, *address_before;
	const char *caller; /* who seems to have called it */
} library;

static TEST_FRAME void call_through(void)
{
	library.call_back(walk);
}

static TEST_FRAME void open_library(int number)
{
	static const char *const names[] = {"libtrue.so", "libfalse.so"};

	library.handle = load_library(names[number]);
	library.address_before = (void *)library.call_back;
	library.call_back = (size_t(*)(size_t(*)(void)))dlsym(library.handle, "call_back");
}

/* The first walk finds the library, the second is remembered, the third is from memory. */
static TEST_FRAME void look_through(void)
{
	for (int i = 0; i < 3; i++) {
		call_through();
		assert_string_equal(name_of(pcs[2]), "call_back");
		library.caller = name_of(pcs[3]);
	}
	dlclose(library.handle);
}

static void test_nothing_is_left_of_a_library_that_went(void **state)
{
	(void)state;
	build_library("libtrue.so", 32);
	build_library("libfalse.so", 24);
	/* One call for both, which unrolling would make two. */
	for (volatile int i = 0; i < 2; i++) {
		open_library(i);
		look_through();
		assert_string_equal(library.caller, i == 0 ? "call_through" : "decoy");
	}
	if (library.address_before != (void *)library.call_back)
		skip();
}

/* ---- a library that is in no stack ---- */

static struct stack_copy copy;

static size_t remembered_count(void)
{
	size_t count;

	probe_observe_begin();
	(void)modules_lock();
	count = unwind_memo_find(unwind_memo_key(&copy), pcs, PROBE_STACK_MAX);
	modules_unlock();
	probe_observe_end();
	return count;
}

static void walk_and_remember(size_t count)
{
	memset(pcs, 0, sizeof(pcs));
	assert_int_equal(unwind_walk(&copy, pcs, PROBE_STACK_MAX), count);
	assert_memory_equal(pcs, pcs_before, sizeof(pcs));
	assert_int_equal(remembered_count(), count);
}

static void test_remembering_goes_on_after_an_unrelated_library(void **state)
{
	ucontext_t here;
	size_t count;
	void *other;

	(void)state;
	build_library("libother.so", 32);
	wait_for_report();
	assert_int_equal(getcontext(&here), 0);
	stack_copy_take_sigsafe(&copy, &here);
	memset(pcs_before, 0, sizeof(pcs_before));
	count = unwind_walk(&copy, pcs_before, PROBE_STACK_MAX);
	assert_int_equal(remembered_count(), count);
	other = load_library("libother.so");
	/* What was mapped where may be another thing now: all is forgotten, and learned again. */
	assert_int_equal(remembered_count(), 0);
	walk_and_remember(count);
	dlclose(other);
	wait_for_report();
	walk_and_remember(count);
}

static int tear_down(void **state)
{
	char command[sizeof(directory) + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

#endif

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
#ifdef __x86_64__
	if (!mkdtemp(directory))
		return -1;
#endif
	return modules_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_stack_gives_the_same_walk),
		cmocka_unit_test(test_another_return_address_gives_another_walk),
		cmocka_unit_test(test_another_depth_gives_another_walk),
#ifdef __x86_64__
		cmocka_unit_test(test_nothing_is_left_of_a_library_that_went),
		cmocka_unit_test_teardown(
			test_remembering_goes_on_after_an_unrelated_library, tear_down),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
