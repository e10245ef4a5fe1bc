#include "diag/malloc_stats.h"

#include "diag/gperftools.h"

static size_t property(const char *name)
{
	size_t value = 0;

	if (!MallocExtension_GetNumericProperty ||
		!MallocExtension_GetNumericProperty(name, &value))
		return 0;
	return value;
}

struct malloc_stats malloc_stats_read(void)
{
	struct malloc_stats stats = {
		.allocated_bytes = property("generic.current_allocated_bytes"),
		.heap_bytes = property("generic.heap_size"),
		.free_bytes = property("tcmalloc.pageheap_free_bytes"),
		.released_bytes = property("tcmalloc.pageheap_unmapped_bytes"),
		.thread_cache_bytes = property("tcmalloc.current_total_thread_cache_bytes"),
		.thread_cache_max_bytes = property("tcmalloc.max_total_thread_cache_bytes"),
	};
	size_t idle_bytes = stats.free_bytes + stats.released_bytes;

	/* Each was read by itself: what happened in between may make the parts more than the whole. */
	stats.inuse_bytes = stats.heap_bytes > idle_bytes ? stats.heap_bytes - idle_bytes : 0;
	return stats;
}
