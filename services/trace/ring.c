#include "trace/ring.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(struct record) == RECORD_WORDS_MAX * sizeof(uint64_t), "records are words");
static_assert((RING_WORDS & (RING_WORDS - 1)) == 0, "positions wrap with their type");

static size_t words_to_the_end(uint32_t position)
{
	return RING_WORDS - position % RING_WORDS;
}

bool ring_put(struct ring *ring, const struct record *record, size_t reserved_words)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	const uint64_t *from = (const uint64_t *)record;
	size_t count = record_words(record), first = words_to_the_end(head);

	if ((uint32_t)(head - tail) + count + reserved_words > RING_WORDS)
		return false;
	if (first > count)
		first = count;
	memcpy(&ring->words[head % RING_WORDS], from, first * sizeof(*from));
	memcpy(ring->words, from + first, (count - first) * sizeof(*from));
	atomic_store_explicit(&ring->head, (uint32_t)(head + count), memory_order_release);
	return true;
}

uint32_t ring_head(const struct ring *ring)
{
	return atomic_load_explicit(&ring->head, memory_order_acquire);
}

static void copy_out(const struct ring *ring, uint32_t position, uint64_t *to, size_t count)
{
	size_t first = words_to_the_end(position);

	if (first > count)
		first = count;
	memcpy(to, &ring->words[position % RING_WORDS], first * sizeof(*to));
	memcpy(to + first, ring->words, (count - first) * sizeof(*to));
}

bool ring_take(struct ring *ring, uint32_t head, struct record *record)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail == head)
		return false;
	copy_out(ring, tail, (uint64_t *)record, 2);
	copy_out(ring, tail + 2, record->words, record->word_count);
	atomic_store_explicit(
		&ring->tail, (uint32_t)(tail + record_words(record)), memory_order_release);
	return true;
}
