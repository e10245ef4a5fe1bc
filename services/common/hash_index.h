/*
 * hash_index: finds the position of an entry in an array that somebody else keeps, by hash.
 *
 * Shape:     start with `struct hash_index index = HASH_INDEX_INIT`. Entries are numbered from 0 in
 *            the order in which their owner appends them; nothing is ever removed.
 * Returns:   hash_index_find() the entry's number, or HASH_INDEX_NONE.
 * Errors:    none to check: growing dies loudly (common/alloc.h).
 * Ownership: the index owns its slots only; hash_index_free() gives them back.
 * Thread:    one thread at a time per index.
 * Source:    the byte hash is FNV-1a, 64 bits.
 */
#ifndef SICKBAY_COMMON_HASH_INDEX_H
#define SICKBAY_COMMON_HASH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_INDEX_NONE SIZE_MAX
#define HASH_SEED 0xcbf29ce484222325u

struct hash_index {
	struct hash_index_slot *slots;
	size_t slot_count, used_count;
};

#define HASH_INDEX_INIT    \
	{                  \
		NULL, 0, 0 \
	}

/* Whether entry number ENTRY of CONTEXT's array equals KEY. */
typedef bool hash_index_equal(const void *context, size_t entry, const void *key);

size_t hash_index_find(const struct hash_index *index, uint64_t hash, hash_index_equal *equal,
	const void *context, const void *key);
/* ENTRY must not be in yet; its number is below UINT32_MAX. */
void hash_index_add(struct hash_index *index, uint64_t hash, size_t entry);
void hash_index_free(struct hash_index *index);

/* Both go on from HASH: start with HASH_SEED, chain for compound keys. */
uint64_t hash_bytes(uint64_t hash, const void *data, size_t len_bytes);
uint64_t hash_u64(uint64_t hash, uint64_t value);

#endif
