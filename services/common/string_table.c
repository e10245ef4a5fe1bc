#include "common/string_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static bool text_equal(const void *context, size_t entry, const void *key)
{
	const struct string_table *table = context;

	return strcmp(table->texts[entry], key) == 0;
}

size_t string_table_add(struct string_table *table, const char *text)
{
	uint64_t hash;
	size_t entry;

	if (!text)
		text = "";
	hash = hash_bytes(HASH_SEED, text, strlen(text));
	entry = hash_index_find(&table->index, hash, text_equal, table, text);
	if (entry != HASH_INDEX_NONE)
		return entry;
	/* Grows by doubling: the count is a power of two when the array is full. */
	if ((table->count & (table->count - 1)) == 0)
		table->texts = xrealloc(
			table->texts, table->count ? table->count * 2 : 1, sizeof(*table->texts));
	table->texts[table->count] = xstrdup(text);
	hash_index_add(&table->index, hash, table->count);
	return table->count++;
}

void string_table_free(struct string_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->texts[i]);
	free(table->texts);
	hash_index_free(&table->index);
	*table = (struct string_table)STRING_TABLE_INIT;
}
