/*
 * depot: every distinct call stack once, for books that refer to many.
 *
 * Shape:     a stack comes innermost frame first, as capture.h has it; equal stacks are one object,
 *            so that pointers can be compared.
 * Bounds:    PROBE_DEPOT_STACKS_MAX stacks; beyond, NULL.
 * Ownership: stacks live until the process ends.
 * Thread:    MT-Safe; not AS-Safe.
 */
#ifndef SICKBAY_PROBE_DEPOT_H
#define SICKBAY_PROBE_DEPOT_H

#include <stddef.h>
#include <stdint.h>

#define PROBE_DEPOT_STACKS_MAX 32768

struct depot_stack {
	size_t number; /* 0, 1, 2, ... in the order in which they came */
	size_t pc_count;
	uintptr_t pcs[];
};

/* NULL for an empty stack, and where the depot is full. */
const struct depot_stack *probe_depot_put(const uintptr_t *pcs, size_t pc_count);

#endif
