#include "../support/test.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"

static void gives_memory(void **state)
{
	char *text = xstrdup("text"), *zeroed = xcalloc(10, 10);

	(void)state;
	assert_string_equal(text, "text");
	for (int i = 0; i < 100; i++)
		assert_int_equal(zeroed[i], 0);
	text = xrealloc(text, 2, 100);
	assert_string_equal(text, "text");
	free(text);
	free(zeroed);
	free(xmalloc(0));
	free(xcalloc(0, 0));
	free(xrealloc(NULL, 0, 0));
}

/* A write that returns proves that the optimizer did not drop the allocation. */
static void touch(char *ptr)
{
	*(volatile char *)ptr = 1;
}

static void ask_too_much(int how)
{
	volatile size_t huge = SIZE_MAX / 2;

	if (how == 0)
		touch(xmalloc(huge));
	else if (how == 1)
		touch(xcalloc(huge, 4));
	else
		touch(xrealloc(NULL, huge, 4));
}

static void dies_loudly(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		char sentence[64] = "";
		struct rlimit no_core = {0, 0};
		int ends[2], status;
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		child = fork();
		if (child == 0) {
			setrlimit(RLIMIT_CORE, &no_core);
			signal(SIGABRT, SIG_DFL);
			dup2(ends[1], STDERR_FILENO);
			ask_too_much(how);
			_exit(0);
		}
		close(ends[1]);
		assert_true(read(ends[0], sentence, sizeof(sentence) - 1) > 0);
		close(ends[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
#ifndef SICKBAY_SAN
		/* The sanitizer dies in its own words. */
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		assert_non_null(strchr(sentence, '\n'));
#endif
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_memory),
		cmocka_unit_test(dies_loudly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
