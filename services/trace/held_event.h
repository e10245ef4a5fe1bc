/*
 * held_event: an event that waits for its details. Private to trace.
 *
 * Ownership: texts are copied; held_event_clear() frees them. All zero is an empty one.
 * Thread:    one thread at a time.
 */
#ifndef SICKBAY_TRACE_HELD_EVENT_H
#define SICKBAY_TRACE_HELD_EVENT_H

#include "trace/encode.h"

struct held_event {
	struct encoder_event event;
	bool is_held;
};

/* Details beyond ENCODER_DETAILS_MAX are left out. */
void held_event_add_number(struct held_event *held, const char *key, int64_t value);
void held_event_add_text(struct held_event *held, const char *key, const char *text);
void held_event_clear(struct held_event *held);
/* Writes it, if there is one, and clears it. */
void held_event_put(struct held_event *held, struct encoder *encoder);

#endif
