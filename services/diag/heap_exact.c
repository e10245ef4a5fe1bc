/* The exact profiler: gperftools' HeapProfiler and the text it answers with. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "diag/gperftools.h"
#include "diag/heap.h"
#include "diag/heap_internal.h"
#include "probe/thread.h"

static bool available(void)
{
	return HeapProfilerStart && HeapProfilerStop && IsHeapProfilerRunning && GetHeapProfile;
}

int heap_exact_start(void)
{
	if (!available())
		return -ENOTSUP;
	if (IsHeapProfilerRunning())
		return -EBUSY;
	/*
	 * It would also write files of its own accord; ours is the answer to a request, nothing
	 * else.
	 */
	if (&gperftools_flag_allocation_interval)
		gperftools_flag_allocation_interval = 0;
	if (&gperftools_flag_inuse_interval)
		gperftools_flag_inuse_interval = 0;
	HeapProfilerStart("sickbay-heap");
	return 0;
}

int heap_exact_stop(void)
{
	if (!available())
		return -ENOTSUP;
	if (!IsHeapProfilerRunning())
		return -EBUSY;
	HeapProfilerStop();
	return 0;
}

/* "  inuse_objects: inuse_bytes [alloc_objects: alloc_bytes] @ 0x... 0x...", innermost first. */
static bool parse_line(const char *line, struct heap_entry *entry)
{
	uintptr_t pcs[HEAP_FRAMES_MAX];
	int64_t inuse_objects, inuse_bytes, alloc_objects, alloc_bytes;
	size_t count = 0, skip;
	int at = 0;

	if (sscanf(line, " %" SCNd64 ": %" SCNd64 " [%" SCNd64 ": %" SCNd64 "] @%n", &inuse_objects,
		    &inuse_bytes, &alloc_objects, &alloc_bytes, &at) != 4 ||
		at == 0)
		return false;
	for (const char *next = line + at; count < HEAP_FRAMES_MAX;) {
		char *end;
		uintptr_t pc = strtoull(next, &end, 16);

		if (end == next)
			break;
		pcs[count++] = pc - 1; /* return addresses, all of them */
		next = end;
	}
	entry->values[HEAP_INUSE_OBJECTS] = (double)inuse_objects;
	entry->values[HEAP_INUSE_BYTES] = (double)inuse_bytes;
	entry->values[HEAP_ALLOC_OBJECTS] = (double)alloc_objects;
	entry->values[HEAP_ALLOC_BYTES] = (double)alloc_bytes;
	skip = heap_skip_allocator(pcs, count);
	entry->pc_count = count - skip;
	memcpy(entry->pcs, pcs + skip, entry->pc_count * sizeof(*pcs));
	return true;
}

static size_t count_lines(const char *text)
{
	size_t count = 1;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static struct heap_snapshot *parse(char *text)
{
	struct heap_snapshot *snapshot;
	char *rest = text, *line;

	snapshot = xcalloc(1, sizeof(*snapshot) + count_lines(text) * sizeof(snapshot->entries[0]));
	snapshot->time_ns = clock_realtime_ns();
	snapshot->rate_bytes = 1;
	strsep(&rest, "\n"); /* the header: the sums */
	while ((line = strsep(&rest, "\n")) && strncmp(line, "MAPPED_LIBRARIES", 16) != 0)
		if (parse_line(line, &snapshot->entries[snapshot->entry_count]))
			snapshot->entry_count++;
	return snapshot;
}

int heap_exact_snapshot(struct heap_snapshot **snapshot)
{
	char *text;

	if (!available())
		return -ENOTSUP;
	if (!IsHeapProfilerRunning())
		return -EBUSY;
	probe_observe_begin();
	text = GetHeapProfile();
	if (text)
		*snapshot = parse(text);
	free(text);
	probe_observe_end();
	return text ? 0 : -ENOMEM;
}
