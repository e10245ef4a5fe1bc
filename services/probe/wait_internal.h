/*
 * wait_internal: how the interposers mark their thread. Private to probe.
 *
 * Thread: MT-Safe and, once libc's own function was looked up, AS-Safe; errno stays as it is.
 */
#ifndef SICKBAY_PROBE_WAIT_INTERNAL_H
#define SICKBAY_PROBE_WAIT_INTERNAL_H

#include "probe/wait.h"

/* Of nested waits the outer one shows; OUTER keeps it. */
void wait_begin(const struct probe_wait_call *call, const void *object, struct probe_wait *outer);
void wait_end(const struct probe_wait *outer);

/* The listener, or NULL where this thread's waits are nobody's business. */
const struct probe_wait_listener *wait_listener(void);

#endif
