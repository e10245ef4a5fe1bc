/* reader_internal: what the files of the reader share. Private to trace. */
#ifndef SICKBAY_TRACE_READER_INTERNAL_H
#define SICKBAY_TRACE_READER_INTERNAL_H

#include "common/string_table.h"
#include "trace/reader.h"
#include "trace/requests.h"
#include "trace/tracks.h"
#include "trace/writer.h"

struct reader {
	struct encoder *encoder;
	int64_t start_ns;
	struct tracks *tracks;
	struct requests *requests;
	struct string_table counters; /* by name: the track is the base and the position */
};

static inline const void *reader_pointer(uint64_t word)
{
	return (const void *)(uintptr_t)word;
}

/* Cut at the beginning of the trace. */
struct encoder_event reader_event_at(
	const struct reader *reader, enum encoder_type type, uint64_t track, int64_t time_ns);

/* reader_calls.c */
void reader_read_syscall(
	struct reader *reader, const struct writer *writer, const struct record *record);
void reader_read_wait(
	struct reader *reader, const struct writer *writer, const struct record *record);
/* Waits that have not ended are nobody's records: the threads' marks say so. */
void reader_put_waiting(struct reader *reader);

#endif
