/*
 * loader: what the dynamic loader has mapped. Private to probe.
 *
 * /proc/self/maps would not do: it also shows files that are merely mapped to be read, libdw's own
 * views of these same libraries among them, and neighbours of one name melt into one.
 *
 * Shape:     a snapshot starts as `{0}` and may be taken again and again.
 * Ownership: the snapshot owns its objects and their names; loader_snapshot_free() gives them back.
 * Thread:    MT-Safe (one thread at a time per snapshot); takes the loader's lock: not AS-Safe, not
 *            from a malloc hook. Nothing is allocated under that lock: another thread's malloc may
 *            wait for it.
 */
#ifndef SICKBAY_PROBE_LOADER_H
#define SICKBAY_PROBE_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOADER_BUILD_ID_BYTES 32

/* How often something was loaded and unloaded so far. */
struct loader_counts {
	unsigned long long adds, subs;
};

struct loader_object {
	const char *name;     /* as the loader has it: "" for the program, maybe a relative path */
	uintptr_t start, end; /* [start, end) of all its segments */
	uintptr_t build_id_addr;
	size_t build_id_len; /* 0: none */
	uint8_t build_id[LOADER_BUILD_ID_BYTES];
};

struct loader_snapshot {
	struct loader_counts counts;
	struct loader_object *objects;
	size_t object_count, object_capacity;
	char *names;
	size_t names_bytes, names_capacity_bytes;
};

struct loader_counts loader_counts(void);
void loader_snapshot_take(struct loader_snapshot *snapshot);
void loader_snapshot_free(struct loader_snapshot *snapshot);

#endif
