/*
 * stacks: the stacks of calls, copied where they happen and unwound meanwhile. Private to trace.
 *
 * Shape:     a capture gets a ticket, which the record of the call carries; the stack can be had
 *            for it until some thousand other calls were captured.
 * Thread:    stacks_capture_sigsafe() is MT-Safe and AS-Safe, between stacks_start() and
 *            stacks_stop(); the others by one thread at a time.
 */
#ifndef SICKBAY_TRACE_STACKS_H
#define SICKBAY_TRACE_STACKS_H

#include <stdint.h>

#include "probe/depot.h"

int stacks_start(void) __attribute__((warn_unused_result));
/* Nobody may be capturing any more. */
void stacks_stop(void);
/* Returns the ticket, or 0 if there was no room. */
uint64_t stacks_capture_sigsafe(void);
/* Returns when all captured so far can be had, or after 100 ms. */
void stacks_flush(void);
/* NULL: it was lost, or could not be walked. */
const struct depot_stack *stacks_of(uint64_t ticket);

#endif
