/*
 * measure: what this process holds just now, as the kernel has it; nothing is taken from counters of
 * our own.
 *
 * Returns:   measure_take() 0 or -errno.
 * Thread:    MT-Safe. What other threads open or end meanwhile may be in it or not.
 */
#ifndef SICKBAY_LEAKS_MEASURE_H
#define SICKBAY_LEAKS_MEASURE_H

#include <stdint.h>

struct measure {
	int64_t fd_count;         /* of /proc/self/fd, but for the one that this is read with */
	int64_t connection_count; /* of these, TCP sockets that this process connected to others */
	int64_t thread_count;
	int64_t rss_kib;
};

/* What was accepted on SERVER_PORT is others' connections to us, and not counted as such. */
int measure_take(uint16_t server_port, struct measure *now) __attribute__((warn_unused_result));

#endif
