/*
 * config: settings from environment variables, described by one table that is also the text of
 * --help.
 *
 * Shape:     a program lists its settings in a `static const struct config_entry[]`; values land in
 *            its own struct. A variable that is empty counts as unset.
 * Returns:   config_load() 0, or -EINVAL after writing one sentence per bad variable to ERR (name,
 *            value, what is allowed).
 * Ownership: strings point into the environment or the table; nothing to free.
 * Thread:    call before threads start.
 */
#ifndef SICKBAY_COMMON_CONFIG_H
#define SICKBAY_COMMON_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type { CONFIG_STRING, CONFIG_INT };

struct config_entry {
	const char *name; /* environment variable, "APP_LISTEN" */
	enum config_type type;
	size_t offset;             /* of a `const char *` or an `int64_t` in the program's struct */
	const char *default_value; /* spelled as the user would; NULL: unset (NULL, or INT64_MIN) */
	int64_t min, max;          /* CONFIG_INT only, inclusive */
	const char *help;          /* one line, with the unit */
};

int config_load(const struct config_entry *entries, size_t count, void *values, FILE *err)
	__attribute__((warn_unused_result));
void config_help(const struct config_entry *entries, size_t count, FILE *out);

#endif
