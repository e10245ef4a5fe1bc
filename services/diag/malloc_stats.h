/*
 * malloc_stats: what tcmalloc says of itself. All zero in a build without it.
 *
 * Thread: MT-Safe; not AS-Safe.
 * Source: MallocExtension::GetNumericProperty of gperftools; the property's name beside each field.
 */
#ifndef SICKBAY_DIAG_MALLOC_STATS_H
#define SICKBAY_DIAG_MALLOC_STATS_H

#include <stddef.h>

struct malloc_stats {
	size_t allocated_bytes;        /* generic.current_allocated_bytes */
	size_t heap_bytes;             /* generic.heap_size */
	size_t free_bytes;             /* tcmalloc.pageheap_free_bytes */
	size_t released_bytes;         /* tcmalloc.pageheap_unmapped_bytes */
	size_t inuse_bytes;            /* of heap_bytes, what is neither free nor released */
	size_t thread_cache_bytes;     /* tcmalloc.current_total_thread_cache_bytes */
	size_t thread_cache_max_bytes; /* tcmalloc.max_total_thread_cache_bytes */
};

struct malloc_stats malloc_stats_read(void);

#endif
