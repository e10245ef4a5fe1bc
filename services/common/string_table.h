/*
 * string_table: texts, each stored once and named by its position.
 *
 * Shape:     start with `struct string_table table = STRING_TABLE_INIT`; positions follow the order
 *            of first use.
 * Ownership: the table owns copies, which stay where they are until string_table_free().
 * Thread:    one thread at a time per table.
 */
#ifndef SICKBAY_COMMON_STRING_TABLE_H
#define SICKBAY_COMMON_STRING_TABLE_H

#include <stddef.h>

#include "common/hash_index.h"

struct string_table {
	char **texts;
	size_t count;
	struct hash_index index;
};

#define STRING_TABLE_INIT                \
	{                                \
		NULL, 0, HASH_INDEX_INIT \
	}

/* The position of TEXT, which is added if it is not in yet. NULL counts as "". */
size_t string_table_add(struct string_table *table, const char *text);
void string_table_free(struct string_table *table);

#endif
