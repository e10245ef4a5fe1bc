#include "probe/unwind_memo.h"

#include <string.h>

#include "common/hash_index.h"
#include "probe/modules.h"

#define MEMO_WALKS_MAX 256
#define SMALLEST_ADDRESS 65536 /* the kernel maps nothing below: numbers, mostly */

struct walk {
	uint64_t key; /* 0: empty */
	size_t pc_count;
	uintptr_t pcs[PROBE_STACK_MAX];
};

/* All guarded by the modules lock. */
static struct walk walks[MEMO_WALKS_MAX];
static unsigned walks_generation;

static inline uint64_t hash_word(
	uint64_t hash, const struct stack_copy *copy, size_t position, uintptr_t word)
{
	uintptr_t distance = word - copy->start;

	if (word < SMALLEST_ADDRESS)
		return hash;
	if (distance <= copy->size_bytes)
		return hash_u64(hash_u64(hash, 2 * position), distance);
	if (modules_maps(word))
		return hash_u64(hash_u64(hash, 2 * position + 1), word);
	return hash;
}

uint64_t unwind_memo_key(const struct stack_copy *copy)
{
	size_t word_count = copy->size_bytes / sizeof(copy->words[0]);
	uint64_t hash = hash_u64(HASH_SEED, copy->size_bytes);

	if (!modules_refresh())
		return 0;
	hash = hash_word(hash, copy, 0, copy->regs.pc);
	hash = hash_word(hash, copy, 1, copy->regs.sp);
	for (size_t i = 0; i < ARCH_REGS_MAX; i++)
		hash = hash_word(hash, copy, 2 + i, copy->regs.dwarf[i]);
	for (size_t i = 0; i < word_count; i++)
		hash = hash_word(hash, copy, 2 + ARCH_REGS_MAX + i, copy->words[i]);
	return hash;
}

static struct walk *place(uint64_t key)
{
	if (walks_generation != modules_generation()) {
		memset(walks, 0, sizeof(walks));
		walks_generation = modules_generation();
	}
	return &walks[(key >> 32) % MEMO_WALKS_MAX];
}

size_t unwind_memo_find(uint64_t key, uintptr_t *pcs, size_t max_count)
{
	const struct walk *walk = place(key);
	size_t count;

	if (key == 0 || walk->key != key)
		return 0;
	count = walk->pc_count < max_count ? walk->pc_count : max_count;
	memcpy(pcs, walk->pcs, count * sizeof(pcs[0]));
	return count;
}

void unwind_memo_add(uint64_t key, const uintptr_t *pcs, size_t pc_count)
{
	struct walk *walk = place(key);

	if (key == 0 || pc_count > PROBE_STACK_MAX)
		return;
	/* An address outside of what is mapped is not in the key: another stack may have another. */
	for (size_t i = 0; i < pc_count; i++)
		if (!modules_maps(pcs[i]))
			return;
	walk->key = key;
	walk->pc_count = pc_count;
	memcpy(walk->pcs, pcs, pc_count * sizeof(pcs[0]));
}
