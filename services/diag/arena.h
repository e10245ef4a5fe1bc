/*
 * arena: many small pieces of memory that end together. Private to diag.
 *
 * Shape:     start with `struct arena arena = {0}`.
 * Returns:   zeroed memory, aligned for any type; never NULL.
 * Ownership: the arena's; arena_free() gives all of it back.
 * Thread:    one thread at a time per arena.
 */
#ifndef SICKBAY_DIAG_ARENA_H
#define SICKBAY_DIAG_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_block *blocks;
	size_t left_bytes; /* of the first block */
};

void *arena_alloc(struct arena *arena, size_t count, size_t size_bytes)
	__attribute__((returns_nonnull));
void arena_free(struct arena *arena);

#endif
