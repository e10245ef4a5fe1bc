/*
 * heap: the heap profile, by a sampler that is always on: what is allocated now, and what ever was.
 *
 * One allocation in about `rate` bytes is taken, by gperftools' MallocHook, and weighed by the
 * inverse of its chance, so that the sums estimate the truth: large allocations are counted nearly
 * exactly. A sample costs one copied stack (probe/capture.h); all other allocations and frees one
 * compare and branch. Memory of observer threads is not the program's and stays out.
 *
 * Shape:     Go's four values per stack. Stacks come innermost first, the allocating function at
 *            the leaf: what malloc does inside stays out.
 * Bounds:    HEAP_STACKS_MAX distinct stacks and HEAP_LIVE_MAX live samples; beyond them, and when
 *            a burst outruns the unwinder, samples are added to one entry without a stack, and
 *            counted in lost_count.
 * Returns:   0; -ENOTSUP built without tcmalloc; -EINVAL a rate below HEAP_RATE_MIN_BYTES; -EBUSY
 *            (exact profiler) already, or not, running.
 * Thread:    MT-Safe; not AS-Safe.
 * Source:    the estimator is pprof's: scale by 1 / (1 - exp(-size / rate)).
 */
#ifndef SICKBAY_DIAG_HEAP_H
#define SICKBAY_DIAG_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define HEAP_RATE_DEFAULT_BYTES (512 * 1024)
#define HEAP_RATE_MIN_BYTES 1024
#define HEAP_STACKS_MAX 8192
#define HEAP_LIVE_MAX 65535
#define HEAP_FRAMES_MAX 64

enum heap_value {
	HEAP_ALLOC_OBJECTS,
	HEAP_ALLOC_BYTES,
	HEAP_INUSE_OBJECTS,
	HEAP_INUSE_BYTES,
	HEAP_VALUES
};

struct heap_entry {
	double values[HEAP_VALUES];
	size_t pc_count;
	uintptr_t pcs[HEAP_FRAMES_MAX];
};

struct heap_snapshot {
	int64_t time_ns; /* wall clock */
	size_t rate_bytes;
	uint64_t lost_count;
	size_t entry_count;
	struct heap_entry entries[];
};

/* Starts sampling, or changes the rate. What was sampled before stays. */
int heap_sampler_start(size_t rate_bytes) __attribute__((warn_unused_result));
/*
 * Stops sampling new allocations; frees of sampled ones are still noticed, so that inuse stays
 * true.
 */
void heap_sampler_stop(void);
bool heap_sampler_running(void);

/* The caller frees it with free(). NULL if the sampler never ran. */
struct heap_snapshot *heap_snapshot(void);
/* Takes OLD from NEW, entry by entry: what happened in between. */
void heap_snapshot_subtract(struct heap_snapshot *new, const struct heap_snapshot *old);
/* The sum of one value over all stacks. */
double heap_snapshot_total(const struct heap_snapshot *snapshot, enum heap_value value);

/*
 * gzip profile.proto. SHOW_ALLOC: pprof opens on alloc_space (allocs) instead of inuse_space
 * (heap).
 */
int heap_encode(const struct heap_snapshot *snapshot, int64_t duration_ns, bool show_alloc,
	struct strbuf *out) __attribute__((warn_unused_result));
/* Go's debug=1 text, without the memstats at its end. */
void heap_print(const struct heap_snapshot *snapshot, struct strbuf *out);

/*
 * The exact profiler: gperftools' own HeapProfiler, which sees every allocation from its start to
 * its stop, at a price (a malloc becomes some 1000x slower). Its answer is re-encoded as the
 * sampler's is.
 */
int heap_exact_start(void) __attribute__((warn_unused_result));
int heap_exact_stop(void) __attribute__((warn_unused_result));
int heap_exact_snapshot(struct heap_snapshot **snapshot) __attribute__((warn_unused_result));

#endif
