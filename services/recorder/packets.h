/*
 * packets: the packets of a Perfetto trace file, which is nothing but these, one after the other.
 *
 * Shape:     start with `struct packets packets = PACKETS_INIT` and `size_t at = 0`.
 * Returns:   packets_next() whether there was one more; DATA is good until packets_close().
 * Errors:    packets_open(): -EBADMSG where the file is cut or is no trace; otherwise -errno.
 *            packet_write(): none, ask ferror() at the end.
 * Ownership: packets_close() unmaps the file.
 * Thread:    MT-Safe, with an AT each.
 * Source:    message Trace of the public schema: field 1, repeated, with a length.
 */
#ifndef SICKBAY_RECORDER_PACKETS_H
#define SICKBAY_RECORDER_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Perfetto's are well below; bounds what one can make of a bad one. */
#define PACKET_MAX_BYTES (4 << 20)

struct packets {
	const uint8_t *data;
	size_t len_bytes;
};

#define PACKETS_INIT    \
	{               \
		NULL, 0 \
	}

int packets_open(struct packets *packets, const char *path) __attribute__((warn_unused_result));
void packets_close(struct packets *packets);

bool packets_next(
	const struct packets *packets, size_t *at, const uint8_t **data, size_t *len_bytes);
void packet_write(FILE *out, const uint8_t *data, size_t len_bytes);

#endif
