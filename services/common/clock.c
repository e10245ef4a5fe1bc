#include "common/clock.h"

#include <string.h>
#include <time.h>

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * CLOCK_NS_PER_SEC + now.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

/* Both write to the left of END and return where the text begins now. */
static char *put_number(char *end, uint64_t value)
{
	do {
		*--end = '0' + value % 10;
		value /= 10;
	} while (value);
	return end;
}

/*
 * VALUE's last DIGITS decimals as a fraction without trailing zeros (nothing at all for zero);
 * *VALUE loses them.
 */
static char *put_fraction(char *end, uint64_t *value, int digits)
{
	char *start = end;

	for (; digits > 0; digits--, *value /= 10) {
		if (start != end || *value % 10)
			*--start = '0' + *value % 10;
	}
	if (start != end)
		*--start = '.';
	return start;
}

static char *put_text(char *end, const char *text)
{
	size_t len_bytes = strlen(text);

	return memcpy(end - len_bytes, text, len_bytes);
}

static char *put_below_second(char *end, uint64_t ns)
{
	const char *unit = "ns";
	int digits = 0;

	if (ns >= CLOCK_NS_PER_MS) {
		unit = "ms";
		digits = 6;
	} else if (ns >= 1000) {
		unit = "\u00b5s";
		digits = 3;
	}
	end = put_text(end, unit);
	end = put_fraction(end, &ns, digits);
	return put_number(end, ns);
}

static char *put_seconds_and_more(char *end, uint64_t ns)
{
	uint64_t rest = ns;

	end = put_text(end, "s");
	end = put_fraction(end, &rest, 9);
	end = put_number(end, rest % 60);
	rest /= 60;
	if (!rest)
		return end;
	end = put_number(put_text(end, "m"), rest % 60);
	rest /= 60;
	if (!rest)
		return end;
	return put_number(put_text(end, "h"), rest);
}

char *duration_format(char buf[DURATION_FORMAT_BYTES], int64_t duration_ns)
{
	/* Unsigned negation also holds for INT64_MIN. */
	uint64_t ns = duration_ns < 0 ? -(uint64_t)duration_ns : (uint64_t)duration_ns;
	char scratch[DURATION_FORMAT_BYTES], *end = scratch + sizeof(scratch), *start;

	if (!ns)
		start = put_text(end, "0s");
	else if (ns < CLOCK_NS_PER_SEC)
		start = put_below_second(end, ns);
	else
		start = put_seconds_and_more(end, ns);
	if (duration_ns < 0)
		*--start = '-';
	memcpy(buf, start, end - start);
	buf[end - start] = '\0';
	return buf;
}
