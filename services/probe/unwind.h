/*
 * unwind: walks a copied stack with libdw's call frame information. Private to probe.
 *
 * Errors:    a copy that makes no sense (truncated, hostile) ends the walk early; memory outside
 *            the copy is never read.
 * Thread:    MT-Safe, takes the lock of modules.h; not AS-Safe.
 */
#ifndef SICKBAY_PROBE_UNWIND_H
#define SICKBAY_PROBE_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/arch.h"

struct unwind_copy {
	struct arch_regs regs;
	uintptr_t start; /* address of bytes[0] in the thread's stack */
	size_t size_bytes;
	const uint8_t *bytes;
};

/* Returns the number of addresses written, innermost first, as capture.h describes them. */
size_t unwind_copy_walk(const struct unwind_copy *copy, uintptr_t *pcs, size_t max_count);

#endif
