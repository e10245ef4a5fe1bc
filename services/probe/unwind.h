/*
 * unwind: walks a copied stack with libdw's call frame information. Private to probe.
 *
 * Errors:    a copy that makes no sense (truncated, hostile) ends the walk early; memory outside
 *            the copy is never read.
 * Thread:    MT-Safe, takes the lock of modules.h; not AS-Safe.
 */
#ifndef SICKBAY_PROBE_UNWIND_H
#define SICKBAY_PROBE_UNWIND_H

#include <stddef.h>
#include <stdint.h>

#include "probe/stack_copy.h"

/* Returns the number of addresses written, innermost first, as capture.h describes them. */
size_t unwind_walk(const struct stack_copy *copy, uintptr_t *pcs, size_t max_count);

#endif
