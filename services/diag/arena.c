#include "diag/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/alloc.h"

#define BLOCK_BYTES ((size_t)64 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size_bytes;
	max_align_t data[];
};

static void add_block(struct arena *arena, size_t at_least_bytes)
{
	size_t size = at_least_bytes > BLOCK_BYTES ? at_least_bytes : BLOCK_BYTES;
	struct arena_block *block = xcalloc(1, sizeof(*block) + size);

	block->size_bytes = size;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->left_bytes = size;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size_bytes)
{
	size_t wanted;
	char *data;

	assert(size_bytes == 0 || count <= SIZE_MAX / 2 / size_bytes);
	wanted = (count * size_bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (!arena->blocks || wanted > arena->left_bytes)
		add_block(arena, wanted);
	data = (char *)arena->blocks->data + arena->blocks->size_bytes - arena->left_bytes;
	arena->left_bytes -= wanted;
	return data;
}

void arena_free(struct arena *arena)
{
	struct arena_block *next;

	for (struct arena_block *block = arena->blocks; block; block = next) {
		next = block->next;
		free(block);
	}
	*arena = (struct arena){0};
}
