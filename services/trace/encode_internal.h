/* encode_internal: what the files of the encoder share. Private to trace. */
#ifndef SICKBAY_TRACE_ENCODE_INTERNAL_H
#define SICKBAY_TRACE_ENCODE_INTERNAL_H

#include "common/hash_index.h"
#include "common/string_table.h"
#include "proto/perfetto.pb-c.h"
#include "trace/encode.h"

struct frame {
	uint64_t function, mapping, rel_pc;
};

struct encoder {
	struct strbuf *out;
	pid_t pid;
	int64_t boot_offset_ns;
	bool has_begun;
	/*
	 * What was said already: a thing's number on the wire is its position here, and 1.
	 */
	struct string_table categories, names, keys, functions, paths;
	struct frame *frames; /* one per function */
	size_t frame_count;
	struct hash_index frame_index;
	struct callstack {
		size_t frame_count;
		uint64_t *frames; /* outermost first */
	} * callstacks;
	size_t callstack_count;
	struct hash_index callstack_index;
};

/* What one packet says anew. Everything in it lives in the encoder's tables, or here. */
struct news {
	Perfetto__InternedData data;
	Perfetto__InternedString strings[8 + ENCODER_DETAILS_MAX];
	Perfetto__InternedString *pointers[8 + ENCODER_DETAILS_MAX];
	size_t string_count;
};

void encoder_news_init(struct news *news);
/*
 * TEXT's number. Strings of one kind must be given one after the other: protobuf-c wants their
 * pointers side by side.
 */
uint64_t encoder_intern(struct news *news, struct string_table *table,
	Perfetto__InternedString ***list, size_t *list_count, const char *text);
#define INTERN(news, table, field, text) \
	encoder_intern(news, table, &(news)->data.field, &(news)->data.n_##field, text)

void encoder_put_packet(struct encoder *encoder, Perfetto__TracePacket *packet);
void encoder_set_time(
	const struct encoder *encoder, Perfetto__TracePacket *packet, int64_t monotonic_ns);

/* encode_samples.c */
void encoder_free_stacks(struct encoder *encoder);

#endif
