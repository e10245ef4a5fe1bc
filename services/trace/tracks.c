#include "trace/tracks.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/hash_index.h"
#include "probe/thread.h"
#include "trace/writer.h"

struct thread_track {
	uint64_t track;
	pid_t tid;
	bool is_alive;
	char name[PROBE_NAME_BYTES];
	const struct depot_stack *creator;
};

struct tracks {
	struct encoder *encoder;
	struct thread_track *all;
	size_t count;
	struct hash_index index;
};

static bool track_equal(const void *context, size_t entry, const void *key)
{
	return ((const struct tracks *)context)->all[entry].track == *(const uint64_t *)key;
}

static struct thread_track *find(const struct tracks *tracks, uint64_t track)
{
	size_t entry = hash_index_find(
		&tracks->index, hash_u64(HASH_SEED, track), track_equal, tracks, &track);

	return entry == HASH_INDEX_NONE ? NULL : &tracks->all[entry];
}

struct tracks *tracks_create(struct encoder *encoder)
{
	struct tracks *tracks = xcalloc(1, sizeof(*tracks));

	tracks->encoder = encoder;
	return tracks;
}

void tracks_free(struct tracks *tracks)
{
	if (!tracks)
		return;
	free(tracks->all);
	hash_index_free(&tracks->index);
	free(tracks);
}

static void describe(const struct tracks *tracks, const struct thread_track *thread)
{
	encode_thread_track(
		tracks->encoder, thread->track, thread->tid, *thread->name ? thread->name : NULL);
}

static void set_name(const struct tracks *tracks, struct thread_track *thread, const char *name)
{
	if (!name || strncmp(thread->name, name, sizeof(thread->name) - 1) == 0)
		return;
	strncpy(thread->name, name, sizeof(thread->name) - 1);
	describe(tracks, thread);
}

void tracks_add(struct tracks *tracks, uint64_t track, pid_t tid, const char *name)
{
	struct thread_track *thread = find(tracks, track);

	if (thread) {
		set_name(tracks, thread, name);
		return;
	}
	/* Grows by doubling, when the count is a power of two. */
	if ((tracks->count & (tracks->count - 1)) == 0)
		tracks->all = xrealloc(
			tracks->all, tracks->count ? 2 * tracks->count : 1, sizeof(*tracks->all));
	thread = &tracks->all[tracks->count];
	*thread = (struct thread_track){.track = track, .tid = tid};
	hash_index_add(&tracks->index, hash_u64(HASH_SEED, track), tracks->count++);
	if (name)
		strncpy(thread->name, name, sizeof(thread->name) - 1);
	describe(tracks, thread);
}

static void look_at(struct probe_thread *thread, void *context)
{
	struct tracks *tracks = context;
	struct thread_track *known = find(tracks, writer_track_of(thread->number, thread->tid));

	if (!known)
		return;
	set_name(tracks, known, thread->name);
	known->is_alive = true;
	if (thread->created_by)
		known->creator = thread->created_by;
}

void tracks_look(struct tracks *tracks)
{
	for (size_t i = 0; i < tracks->count; i++)
		tracks->all[i].is_alive = false;
	probe_thread_for_each(look_at, tracks);
}

static void add_silent(struct probe_thread *thread, void *context)
{
	struct tracks *tracks = context;

	if (!thread->observer && tracks->count < TRACKS_SILENT_MAX)
		tracks_add(tracks, writer_track_of(thread->number, thread->tid), thread->tid,
			thread->name);
}

void tracks_add_silent(struct tracks *tracks)
{
	probe_thread_for_each(add_silent, tracks);
}

const struct depot_stack *tracks_creator(const struct tracks *tracks, uint64_t track)
{
	const struct thread_track *thread = find(tracks, track);

	return thread ? thread->creator : NULL;
}

uint64_t tracks_find(const struct tracks *tracks, pid_t tid)
{
	for (size_t i = 0; i < tracks->count; i++)
		if (tracks->all[i].is_alive && tracks->all[i].tid == tid)
			return tracks->all[i].track;
	return 0;
}
