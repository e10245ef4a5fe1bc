/*
 * unwind_memo: walks already made. Threads that do the same have the same stack but for where it
 * lies and what data it holds; a thousand waiting workers are walked once. Private to probe.
 *
 * A walk reads return addresses, and registers that lead to the next frame: all of them addresses of
 * code or of the stack itself. So two copies that agree, at the same distances from the stack
 * pointer, in every word that points into a mapped object, and in every word that points into the
 * copy (taken relative to it), walk alike. The memo's key is a hash of just these words.
 *
 * Bounds:    MEMO_WALKS_MAX walks; a newcomer takes its place from an older one.
 * Thread:    under the lock of modules.h; the memo forgets everything when what is mapped changes.
 */
#ifndef SICKBAY_PROBE_UNWIND_MEMO_H
#define SICKBAY_PROBE_UNWIND_MEMO_H

#include "probe/stack_copy.h"

/* The copy's key; 0 where the memo cannot be used, because the loader is just at work. */
uint64_t unwind_memo_key(const struct stack_copy *copy);
/* Returns how many addresses it wrote; 0: this walk is not known. */
size_t unwind_memo_find(uint64_t key, uintptr_t *pcs, size_t max_count);
void unwind_memo_add(uint64_t key, const uintptr_t *pcs, size_t pc_count);

#endif
