#include "common/random.h"

#include <errno.h>
#include <sys/random.h>

#include "common/clock.h"

int random_fill(void *data, size_t size_bytes)
{
	char *at = data;

	while (size_bytes > 0) {
		ssize_t filled_bytes = getrandom(at, size_bytes, 0);

		if (filled_bytes < 0 && errno == EINTR)
			continue;
		if (filled_bytes < 0)
			return -errno;
		at += filled_bytes;
		size_bytes -= (size_t)filled_bytes;
	}
	return 0;
}

uint64_t random_quick(uint64_t *state)
{
	if (*state == 0)
		*state = ((uintptr_t)state ^ (uint64_t)clock_monotonic_ns()) | 1;
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
