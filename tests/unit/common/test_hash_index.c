#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "common/hash_index.h"

#define ENTRY_COUNT 10000

static uint64_t entries[ENTRY_COUNT];

static bool entry_equal(const void *context, size_t entry, const void *key)
{
	const uint64_t *array = context, *wanted = key;

	return array[entry] == *wanted;
}

static size_t find(const struct hash_index *index, uint64_t hash, uint64_t key)
{
	return hash_index_find(index, hash, entry_equal, entries, &key);
}

static void test_empty(void **state)
{
	struct hash_index index = HASH_INDEX_INIT;

	(void)state;
	assert_int_equal(find(&index, 1, 1), HASH_INDEX_NONE);
	hash_index_free(&index);
}

static void test_finds_all(void **state)
{
	struct hash_index index = HASH_INDEX_INIT;

	(void)state;
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		entries[i] = i * 16;
		hash_index_add(&index, hash_u64(HASH_SEED, entries[i]), i);
	}
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		assert_int_equal(find(&index, hash_u64(HASH_SEED, i * 16), i * 16), i);
		assert_int_equal(
			find(&index, hash_u64(HASH_SEED, i * 16 + 1), i * 16 + 1), HASH_INDEX_NONE);
	}
	hash_index_free(&index);
}

/* Equal hashes: only the entries themselves tell them apart. */
static void test_collisions(void **state)
{
	struct hash_index index = HASH_INDEX_INIT;

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		entries[i] = i;
		hash_index_add(&index, 42, i);
	}
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(find(&index, 42, i), i);
	assert_int_equal(find(&index, 42, 200), HASH_INDEX_NONE);
	hash_index_free(&index);
}

static void test_byte_hash(void **state)
{
	(void)state;
	/* Test vectors of FNV-1a's authors. */
	assert_true(hash_bytes(HASH_SEED, "", 0) == 0xcbf29ce484222325u);
	assert_true(hash_bytes(HASH_SEED, "a", 1) == 0xaf63dc4c8601ec8cu);
	assert_true(hash_bytes(HASH_SEED, "foobar", 6) == 0x85944171f73967e8u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_finds_all),
		cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_byte_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
