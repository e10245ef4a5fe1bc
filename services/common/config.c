#include "common/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/parse.h"

static int set_string(const struct config_entry *entry, const char *text, void *values)
{
	*(const char **)((char *)values + entry->offset) = text;
	return 0;
}

static int set_int(const struct config_entry *entry, const char *text, void *values, FILE *err)
{
	int64_t *value = (int64_t *)((char *)values + entry->offset);

	if (!text) {
		*value = INT64_MIN;
		return 0;
	}
	if (parse_int(text, entry->min, entry->max, value) != 0) {
		fprintf(err,
			"%s is \"%s\", but must be a whole number from %" PRId64 " to %" PRId64
			".\n",
			entry->name, text, entry->min, entry->max);
		return -EINVAL;
	}
	return 0;
}

int config_load(const struct config_entry *entries, size_t count, void *values, FILE *err)
{
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		const char *text = getenv(entries[i].name);
		int outcome;

		if (!text || !*text) /* compose passes on what is not set as "" */
			text = entries[i].default_value;
		if (entries[i].type == CONFIG_STRING)
			outcome = set_string(&entries[i], text, values);
		else
			outcome = set_int(&entries[i], text, values, err);
		if (outcome)
			result = outcome;
	}
	return result;
}

void config_help(const struct config_entry *entries, size_t count, FILE *out)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "  %-24s %s", entries[i].name, entries[i].help);
		if (entries[i].type == CONFIG_INT)
			fprintf(out, ", %" PRId64 " to %" PRId64, entries[i].min, entries[i].max);
		if (entries[i].default_value)
			fprintf(out, " (default: %s)", entries[i].default_value);
		fputc('\n', out);
	}
}
