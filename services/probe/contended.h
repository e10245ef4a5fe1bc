/*
 * contended: the mutexes that threads wait for just now. Private to probe.
 *
 * Shape:     per mutex the time its waiters have spent together since it was locked, as the
 *            integral of their number: what was waited is billed to the holder that ends it.
 * Thread:    MT-Safe; not AS-Safe. Its own lock is libc's, past the interposers.
 */
#ifndef SICKBAY_PROBE_CONTENDED_H
#define SICKBAY_PROBE_CONTENDED_H

#include "probe/wait.h"

/* A thread begins to wait for MUTEX. False if there is no room for it: then it does not leave. */
bool contended_join(const void *mutex);
void contended_leave(const void *mutex);
/* The holder unlocks it: takes what has gathered. Returns the number of waiters. */
unsigned contended_take(const void *mutex, int64_t *waited_ns);

#endif
