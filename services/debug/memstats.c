#include "debug/memstats.h"

#include <stdint.h>
#include <stdlib.h>

#include "diag/heap.h"
#include "diag/malloc_stats.h"

struct field {
	const char *name;
	uint64_t value;
};

#define FIELD_COUNT 13

static void collect(struct field fields[FIELD_COUNT])
{
	struct malloc_stats stats = malloc_stats_read();
	struct heap_snapshot *sampled = heap_snapshot();
	double totals[HEAP_VALUES] = {0};

	for (int i = 0; sampled && i < HEAP_VALUES; i++)
		totals[i] = heap_snapshot_total(sampled, (enum heap_value)i);
	free(sampled);

	const struct field found[FIELD_COUNT] = {
		{"Alloc", stats.allocated_bytes},
		{"Frees", (uint64_t)(totals[HEAP_ALLOC_OBJECTS] - totals[HEAP_INUSE_OBJECTS])},
		{"HeapAlloc", stats.allocated_bytes},
		{"HeapIdle", stats.free_bytes + stats.released_bytes},
		{"HeapInuse", stats.inuse_bytes},
		{"HeapObjects", (uint64_t)totals[HEAP_INUSE_OBJECTS]},
		{"HeapReleased", stats.released_bytes},
		{"HeapSys", stats.heap_bytes},
		{"MCacheInuse", stats.thread_cache_bytes},
		{"MCacheSys", stats.thread_cache_max_bytes},
		{"Mallocs", (uint64_t)totals[HEAP_ALLOC_OBJECTS]},
		{"Sys", stats.heap_bytes},
		{"TotalAlloc", (uint64_t)totals[HEAP_ALLOC_BYTES]},
	};

	for (int i = 0; i < FIELD_COUNT; i++)
		fields[i] = found[i];
}

void memstats_json(struct strbuf *out)
{
	struct field fields[FIELD_COUNT];

	collect(fields);
	strbuf_puts(out, "{");
	for (int i = 0; i < FIELD_COUNT; i++)
		strbuf_printf(out, "%s\"%s\": %llu", i ? ", " : "", fields[i].name,
			(unsigned long long)fields[i].value);
	strbuf_puts(out, "}");
}

void memstats_print(struct strbuf *out)
{
	struct field fields[FIELD_COUNT];

	collect(fields);
	strbuf_puts(out, "\n# runtime.MemStats\n");
	for (int i = 0; i < FIELD_COUNT; i++)
		strbuf_printf(
			out, "# %s = %llu\n", fields[i].name, (unsigned long long)fields[i].value);
}
