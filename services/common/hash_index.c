#include "common/hash_index.h"

#include <stdlib.h>

#include "common/alloc.h"

#define SLOTS_MIN 64

struct hash_index_slot {
	uint32_t hash;
	uint32_t entry_plus_one; /* 0: free */
};

static void slot_put(struct hash_index *index, struct hash_index_slot slot)
{
	size_t at = slot.hash & (index->slot_count - 1);

	while (index->slots[at].entry_plus_one)
		at = (at + 1) & (index->slot_count - 1);
	index->slots[at] = slot;
}

static void grow(struct hash_index *index)
{
	struct hash_index old = *index;

	index->slot_count = old.slot_count ? old.slot_count * 2 : SLOTS_MIN;
	index->slots = xcalloc(index->slot_count, sizeof(*index->slots));
	for (size_t i = 0; i < old.slot_count; i++)
		if (old.slots[i].entry_plus_one)
			slot_put(index, old.slots[i]);
	free(old.slots);
}

/* The slots keep 32 bits: fold, so that both halves count. */
static uint32_t fold(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32);
}

size_t hash_index_find(const struct hash_index *index, uint64_t hash, hash_index_equal *equal,
	const void *context, const void *key)
{
	uint32_t short_hash = fold(hash);

	if (index->slot_count == 0)
		return HASH_INDEX_NONE;
	for (size_t at = short_hash & (index->slot_count - 1); index->slots[at].entry_plus_one;
		at = (at + 1) & (index->slot_count - 1)) {
		size_t entry = index->slots[at].entry_plus_one - 1;

		if (index->slots[at].hash == short_hash && equal(context, entry, key))
			return entry;
	}
	return HASH_INDEX_NONE;
}

void hash_index_add(struct hash_index *index, uint64_t hash, size_t entry)
{
	/* Two thirds full at most: probes stay short. */
	if ((index->used_count + 1) * 3 > index->slot_count * 2)
		grow(index);
	slot_put(index, (struct hash_index_slot){fold(hash), (uint32_t)entry + 1});
	index->used_count++;
}

void hash_index_free(struct hash_index *index)
{
	free(index->slots);
	*index = (struct hash_index)HASH_INDEX_INIT;
}

uint64_t hash_bytes(uint64_t hash, const void *data, size_t len_bytes)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len_bytes; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

/* One multiplication for eight bytes; addresses differ in few bits, the shift spreads them. */
uint64_t hash_u64(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}
