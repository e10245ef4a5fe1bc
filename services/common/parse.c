#include "common/parse.h"

#include <errno.h>
#include <stdbool.h>

int parse_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
	bool negative = *text == '-', overflow = false;
	int64_t result = 0;

	text += negative;
	if (!*text)
		return -EINVAL;
	/* Counts downwards, so that INT64_MIN fits; and to the end, which may be no digit. */
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		overflow |= __builtin_mul_overflow(result, 10, &result) ||
			    __builtin_sub_overflow(result, *text - '0', &result);
	}
	if (!negative)
		overflow |= __builtin_sub_overflow(0, result, &result);
	if (overflow || result < min || result > max)
		return -ERANGE;
	*value = result;
	return 0;
}
