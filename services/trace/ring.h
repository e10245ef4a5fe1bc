/*
 * ring: what one thread has to tell, on its way to the one that drains. Private to trace.
 *
 * Shape:     records of whole words; a record says its own length. What does not fit is refused.
 * Thread:    one writer and one reader at a time, which never wait for each other. ring_put() is
 *            AS-Safe.
 */
#ifndef SICKBAY_TRACE_RING_H
#define SICKBAY_TRACE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_WORDS 32768 /* 256 KiB; touched only as far as it was used */
#define RECORD_WORDS_MAX 64

struct record {
	int64_t time_ns;     /* monotonic */
	uint16_t kind;       /* enum record_kind */
	uint16_t word_count; /* of words */
	uint32_t flags;
	uint64_t words[RECORD_WORDS_MAX - 2];
};

struct ring {
	uint64_t *words;        /* RING_WORDS */
	_Atomic(uint32_t) head; /* words ever written */
	_Atomic(uint32_t) tail; /* words ever read */
};

/* Refuses unless RESERVED_WORDS stay free beyond it. */
bool ring_put(struct ring *ring, const struct record *record, size_t reserved_words);
/* How far it is filled now, for ring_take(). */
uint32_t ring_head(const struct ring *ring);
/* Takes the oldest record that was there at HEAD. */
bool ring_take(struct ring *ring, uint32_t head, struct record *record);

static inline size_t record_words(const struct record *record)
{
	return 2 + (size_t)record->word_count;
}

#endif
