/*
 * creator: the stack under which a thread counts where its own says nothing, or is not to be had:
 * that of whoever created it. Private to diag.
 *
 * Returns:   the stack where it is known; else *CREATED_BY_PC alone, and for threads that nobody created
 *            (the main thread) the program's entry point.
 * Ownership: the depot's, the program's, or the caller's own *CREATED_BY_PC.
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_DIAG_CREATOR_H
#define SICKBAY_DIAG_CREATOR_H

#include "diag/thread_snapshot.h"

struct thread_stack creator_stack(
	const struct depot_stack *created_by, const uintptr_t *created_by_pc);

#endif
