/*
 * clock: monotonic and wall time in nanoseconds, and durations spelled as Go spells them.
 *
 * Returns:   the clocks never fail; duration_format() returns its buffer, NUL-terminated.
 * Thread:    MT-Safe and AS-Safe.
 * Source:    Go's time.Duration.String(): "282.63µs", "1.088028ms", "5.000123s", "1m30.5s", "0s".
 */
#ifndef SICKBAY_COMMON_CLOCK_H
#define SICKBAY_COMMON_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_SEC 1000000000LL
#define CLOCK_NS_PER_MS 1000000LL

int64_t clock_monotonic_ns(void);
int64_t clock_realtime_ns(void);

#define DURATION_FORMAT_BYTES 32

/* Writes into BUF (DURATION_FORMAT_BYTES long). Negative durations get a leading '-'. */
char *duration_format(char buf[DURATION_FORMAT_BYTES], int64_t duration_ns);

#endif
