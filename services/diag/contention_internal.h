/* contention_internal: what the files of contention.h share. Private to diag/contention*.c. */
#ifndef SICKBAY_DIAG_CONTENTION_INTERNAL_H
#define SICKBAY_DIAG_CONTENTION_INTERNAL_H

#include "diag/contention.h"

/* Entry 0 has no stack; that of a stack is its number + 1. */
struct contention_sums {
	uint64_t lost_count;
	size_t entry_end; /* entries from here on are unused */
	struct contention_entry entries[PROBE_DEPOT_STACKS_MAX + 1];
};

/* STACK NULL: it was lost. One thread at a time per SUMS. */
void contention_add(struct contention_sums *sums, const struct depot_stack *stack,
	double contention_count, double delay_ns);

/*
 * A stack as it is kept: without the frames above the call that waits or unlocks, and with its leaf
 * at the start of its function. NULL if it is empty or finds no room. MT-Safe; symbolizes.
 */
const struct depot_stack *contention_stack(const uintptr_t *pcs, size_t pc_count);

/* Adds the waits under way. Returns 0 or -errno of the dump. */
int contention_add_waiting(enum contention_kind kind, struct contention_sums *sums)
	__attribute__((warn_unused_result));

#endif
