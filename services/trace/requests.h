/*
 * requests: slices that belong to no thread, put together from what several threads say of them.
 * Private to trace.
 *
 * They are drawn on tracks of one name, as many as there are at once: each slice has the first track
 * that is free at its time.
 *
 * Thread:    one thread at a time.
 */
#ifndef SICKBAY_TRACE_REQUESTS_H
#define SICKBAY_TRACE_REQUESTS_H

#include "trace/held_event.h"

struct requests;

struct requests *requests_create(struct encoder *encoder);
void requests_free(struct requests *requests);
void requests_begin(struct requests *requests, uint64_t number, const char *name, int64_t time_ns);
/* Where its details go: valid until the next call of another function here. */
struct held_event *requests_held(struct requests *requests, uint64_t number);
void requests_add_number(
	struct requests *requests, uint64_t number, const char *key, int64_t value);
void requests_end(struct requests *requests, uint64_t number, int64_t time_ns);
/*
 * After all that was recorded was read: writes those that had ended at the turn before. AT_THE_END:
 * all, those that have not ended as open.
 */
void requests_turn(struct requests *requests, bool at_the_end);

#endif
