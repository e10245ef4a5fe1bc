/* heap_internal: what the files of heap.h share. Private to diag/heap*.c. */
#ifndef SICKBAY_DIAG_HEAP_INTERNAL_H
#define SICKBAY_DIAG_HEAP_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

/*
 * How many frames at the leaf belong to the allocator and its hooks: all up to the last frame
 * inside the allocator's library that is near the leaf. Thread: MT-Safe; symbolizes.
 */
size_t heap_skip_allocator(const uintptr_t *pcs, size_t pc_count);

#endif
