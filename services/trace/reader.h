/*
 * reader: from the records of all threads to the events of a trace. Private to trace.
 *
 * Shape:     details follow the record they belong to, so that each writer's last event is held back
 *            until the next. What belongs to no thread is put together from the records of several,
 *            and written when all that was said of it has been read: a turn after its end.
 * Thread:    one thread at a time per reader; not AS-Safe.
 */
#ifndef SICKBAY_TRACE_READER_H
#define SICKBAY_TRACE_READER_H

#include <stdint.h>

#include "trace/encode.h"

struct reader;

/* START_NS: what began before is cut there. */
struct reader *reader_create(struct encoder *encoder, int64_t start_ns);
/* NULL is fine. */
void reader_free(struct reader *reader);
/* Throws away what is in the rings from before. */
void reader_discard(void);
/* Everything that was recorded so far. */
void reader_turn(struct reader *reader);
/* After the last turn: what is still held back or open. */
void reader_finish(struct reader *reader);
/* A point on a counter's track, which is made when it is first needed. */
void reader_count(
	struct reader *reader, const char *name, const char *unit, int64_t time_ns, int64_t value);

#endif
