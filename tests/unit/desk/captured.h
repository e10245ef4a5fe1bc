/*
 * captured: a capture for tests of what shows it.
 *
 * Shape:     one sample of do_business(), in captured.c, of the type cpu/seconds. modules_init() must
 *            have been called.
 */
#ifndef SICKBAY_TESTS_DESK_CAPTURED_H
#define SICKBAY_TESTS_DESK_CAPTURED_H

#include <stdint.h>

void captured_write_profile(const char *directory, const char *name, int64_t seconds);

#endif
