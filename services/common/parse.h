/*
 * parse: whole decimal numbers from text that people or clients wrote.
 *
 * Shape:     an optional '-', then digits, and nothing else: no space, no '+', no suffix.
 * Returns:   0 and the value.
 * Errors:    -EINVAL (not a whole number), -ERANGE (outside MIN..MAX, however far). VALUE is
 *            untouched on error.
 * Thread:    MT-Safe and AS-Safe.
 */
#ifndef SICKBAY_COMMON_PARSE_H
#define SICKBAY_COMMON_PARSE_H

#include <stdint.h>

int parse_int(const char *text, int64_t min, int64_t max, int64_t *value)
	__attribute__((warn_unused_result));

#endif
