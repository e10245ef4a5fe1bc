#include "../support/test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "trace/ring.h"

#define WORDS_MAX (RECORD_WORDS_MAX - 2)

static uint64_t words[RING_WORDS];
static struct ring ring = {.words = words};

/* Both positions at POSITION: an empty ring. */
static void empty_at(uint32_t position)
{
	atomic_store(&ring.head, position);
	atomic_store(&ring.tail, position);
}

/* Its content follows from its number, and so does its length. */
static struct record record_of(uint64_t number)
{
	struct record record = {
		.time_ns = (int64_t)number,
		.kind = (uint16_t)(number * 7),
		.flags = (uint32_t)(number * 5),
		.word_count = (uint16_t)(number % (WORDS_MAX + 1)),
	};

	for (size_t i = 0; i < record.word_count; i++)
		record.words[i] = number * 1000003 + i;
	return record;
}

static bool is_record(const struct record *record, uint64_t number)
{
	struct record wanted = record_of(number);

	return record->word_count == wanted.word_count &&
	       memcmp(record, &wanted, record_words(&wanted) * sizeof(uint64_t)) == 0;
}

static void put(uint64_t number)
{
	struct record record = record_of(number);

	assert_true(ring_put(&ring, &record, 0));
}

static void assert_taken(uint64_t number)
{
	struct record record;

	assert_true(ring_take(&ring, ring_head(&ring), &record));
	assert_true(is_record(&record, number));
}

static void assert_empty(void)
{
	struct record record;

	assert_false(ring_take(&ring, ring_head(&ring), &record));
}

static void test_a_record_may_wrap_anywhere(void **state)
{
	(void)state;
	for (uint32_t position = 0; position < RING_WORDS; position++) {
		empty_at(position);
		put(WORDS_MAX);
		put(position);
		assert_taken(WORDS_MAX);
		assert_taken(position);
		assert_empty();
	}
}

static void test_positions_may_overflow(void **state)
{
	(void)state;
	for (uint32_t back = 0; back < 3 * RECORD_WORDS_MAX; back++) {
		empty_at(0u - back);
		put(back);
		put(WORDS_MAX);
		assert_taken(back);
		assert_taken(WORDS_MAX);
		assert_empty();
	}
	/* Full, across the overflow. */
	empty_at(0u - RING_WORDS / 2);
	for (size_t i = 0; i < RING_WORDS / RECORD_WORDS_MAX; i++)
		put(WORDS_MAX);
	assert_false(ring_put(&ring, &(struct record){.word_count = 0}, 0));
	for (size_t i = 0; i < RING_WORDS / RECORD_WORDS_MAX; i++)
		assert_taken(WORDS_MAX);
	assert_empty();
}

static void test_a_full_ring_refuses_and_keeps_what_it_has(void **state)
{
	struct record large = record_of(WORDS_MAX), small = record_of(0);
	size_t count = RING_WORDS / record_words(&large);

	(void)state;
	empty_at(17);
	for (size_t i = 0; i < count - 1; i++)
		assert_true(ring_put(&ring, &large, 0));
	assert_true(ring_put(&ring, &small, 0));
	/* Two words less than it takes. */
	assert_false(ring_put(&ring, &large, 0));
	for (size_t i = 0; i < record_words(&large) / record_words(&small) - 1; i++)
		assert_true(ring_put(&ring, &small, 0));
	assert_false(ring_put(&ring, &small, 0));
	for (size_t i = 0; i < count - 1; i++)
		assert_taken(WORDS_MAX);
	assert_taken(0);
	/* There is room again. */
	assert_true(ring_put(&ring, &large, 0));
}

static void test_what_is_reserved_stays_free(void **state)
{
	struct record small = record_of(0), large = record_of(WORDS_MAX);
	size_t count = 0;

	(void)state;
	empty_at(RING_WORDS - 5);
	assert_false(ring_put(&ring, &small, RING_WORDS - 1));
	assert_true(ring_put(&ring, &small, RING_WORDS - 2));
	while (ring_put(&ring, &large, 10))
		;
	while (ring_put(&ring, &small, 10))
		;
	while (ring_put(&ring, &small, 0))
		count++;
	assert_int_equal(count, 10 / 2);
}

/* What is written after HEAD was read stays for the next time. */
static void test_a_drain_ends_where_it_was_told(void **state)
{
	struct record record;
	uint32_t head;

	(void)state;
	empty_at(0);
	put(1);
	put(2);
	head = ring_head(&ring);
	put(3);
	assert_true(ring_take(&ring, head, &record));
	assert_true(ring_take(&ring, head, &record));
	assert_false(ring_take(&ring, head, &record));
	assert_taken(3);
}

#ifdef __SANITIZE_THREAD__
#define RECORDS 300000
#else
#define RECORDS 3000000
#endif

static void *write_all(void *unused)
{
	(void)unused;
	for (uint64_t number = 0; number < RECORDS; number++) {
		struct record record = record_of(number);

		while (!ring_put(&ring, &record, number % 7))
			sched_yield();
	}
	return NULL;
}

static void test_one_writes_while_another_drains(void **state)
{
	pthread_t writer;
	struct record record;
	uint64_t number = 0, wrong_count = 0;

	(void)state;
	/* It overflows on the way. */
	empty_at(0u - 10 * RING_WORDS);
	assert_int_equal(pthread_create(&writer, NULL, write_all, NULL), 0);
	while (number < RECORDS) {
		uint32_t head = ring_head(&ring);

		while (ring_take(&ring, head, &record))
			wrong_count += !is_record(&record, number++);
		sched_yield();
	}
	pthread_join(writer, NULL);
	assert_int_equal(wrong_count, 0);
	assert_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_may_wrap_anywhere),
		cmocka_unit_test(test_positions_may_overflow),
		cmocka_unit_test(test_a_full_ring_refuses_and_keeps_what_it_has),
		cmocka_unit_test(test_what_is_reserved_stays_free),
		cmocka_unit_test(test_a_drain_ends_where_it_was_told),
		cmocka_unit_test(test_one_writes_while_another_drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
