/*
 * alloc: checked allocation for infrastructure. Faults call malloc() themselves, so that their
 * stacks stay clean.
 *
 * Returns:   never NULL; memory from xcalloc is zeroed.
 * Errors:    out of memory or an overflowing count * size writes one line to stderr and aborts.
 * Ownership: the caller frees with free().
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_COMMON_ALLOC_H
#define SICKBAY_COMMON_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *ptr, size_t count, size_t size_bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));

#endif
