/* test: what every test file includes first; cmocka wants these headers before its own. */
#ifndef SICKBAY_TESTS_TEST_H
#define SICKBAY_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

/* The long variants run under `make check`. */
static inline bool test_is_stress(void)
{
	const char *stress = getenv("SICKBAY_STRESS");

	return stress && *stress;
}

/* Keeps a test's own frame: the compiler may neither inline FUNCTION nor drop it. */
#define TEST_FRAME __attribute__((noinline, noclone, noipa))

#endif
