/*
 * random: bytes from the kernel's generator.
 *
 * Returns:   0, or -errno of getrandom(2); a call cut short by a signal goes on.
 * Thread:    MT-Safe and AS-Safe.
 */
#ifndef SICKBAY_COMMON_RANDOM_H
#define SICKBAY_COMMON_RANDOM_H

#include <stddef.h>

int random_fill(void *data, size_t size_bytes) __attribute__((warn_unused_result));

#endif
