#include "probe/depot.h"

#include <pthread.h>
#include <string.h>

#include "common/alloc.h"
#include "common/hash_index.h"
#include "probe/thread.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct hash_index index_by_pcs = HASH_INDEX_INIT;
static struct depot_stack **stacks;
static size_t stack_count;

struct key {
	const uintptr_t *pcs;
	size_t pc_count;
};

static bool equals(const void *context, size_t entry, const void *data)
{
	const struct depot_stack *stack = ((struct depot_stack *const *)context)[entry];
	const struct key *key = data;

	return stack->pc_count == key->pc_count &&
	       memcmp(stack->pcs, key->pcs, key->pc_count * sizeof(key->pcs[0])) == 0;
}

static struct depot_stack *add_locked(uint64_t hash, const struct key *key)
{
	struct depot_stack *stack;

	if (stack_count == PROBE_DEPOT_STACKS_MAX)
		return NULL;
	if ((stack_count & (stack_count - 1)) == 0)
		stacks = xrealloc(stacks, stack_count ? 2 * stack_count : 1, sizeof(*stacks));
	stack = xmalloc(sizeof(*stack) + key->pc_count * sizeof(key->pcs[0]));
	stack->number = stack_count;
	stack->pc_count = key->pc_count;
	memcpy(stack->pcs, key->pcs, key->pc_count * sizeof(key->pcs[0]));
	hash_index_add(&index_by_pcs, hash, stack_count);
	stacks[stack_count++] = stack;
	return stack;
}

const struct depot_stack *probe_depot_put(const uintptr_t *pcs, size_t pc_count)
{
	const struct key key = {pcs, pc_count};
	uint64_t hash = hash_bytes(HASH_SEED, pcs, pc_count * sizeof(pcs[0]));
	const struct depot_stack *stack;
	size_t entry;

	if (pc_count == 0)
		return NULL;
	probe_observe_begin();
	pthread_mutex_lock(&lock);
	entry = hash_index_find(&index_by_pcs, hash, equals, stacks, &key);
	stack = entry == HASH_INDEX_NONE ? add_locked(hash, &key) : stacks[entry];
	pthread_mutex_unlock(&lock);
	probe_observe_end();
	return stack;
}
