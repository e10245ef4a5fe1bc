/*
 * tracks: a track for each thread that the trace speaks of, under the name it has last. Private to
 * trace.
 *
 * Thread:    one thread at a time; tracks_look() locks the list of threads.
 */
#ifndef SICKBAY_TRACE_TRACKS_H
#define SICKBAY_TRACE_TRACKS_H

#include "probe/depot.h"
#include "trace/encode.h"

struct tracks;

struct tracks *tracks_create(struct encoder *encoder);
void tracks_free(struct tracks *tracks);
/* From here on the track is described; NAME NULL: not known yet. */
void tracks_add(struct tracks *tracks, uint64_t track, pid_t tid, const char *name);
/*
 * The living threads that the trace has not spoken of get tracks too, the oldest first, until there are
 * TRACKS_SILENT_MAX in all: with thousands of leaked ones, they would be most of the trace.
 */
#define TRACKS_SILENT_MAX 2000
void tracks_add_silent(struct tracks *tracks);
/* Looks up what the living threads are called, and who created them. */
void tracks_look(struct tracks *tracks);
/* The stack that created the thread; NULL: not known (any more). */
const struct depot_stack *tracks_creator(const struct tracks *tracks, uint64_t track);
/* The track of a living thread, as it was when they were last looked up; 0: it had none. */
uint64_t tracks_find(const struct tracks *tracks, pid_t tid);

#endif
