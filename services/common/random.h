/*
 * random: bytes from the kernel's generator, and numbers for who samples.
 *
 * Returns:   random_fill() 0, or -errno of getrandom(2); a call cut short by a signal goes on.
 * Thread:    MT-Safe and AS-Safe; one thread at a time per state.
 * Source:    random_quick() is Marsaglia's xorshift64 with shifts 13, 7, 17.
 */
#ifndef SICKBAY_COMMON_RANDOM_H
#define SICKBAY_COMMON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

int random_fill(void *data, size_t size_bytes) __attribute__((warn_unused_result));
/* The next of a sequence that anybody could guess, in a nanosecond. STATE 0 begins a new one. */
uint64_t random_quick(uint64_t *state);

#endif
