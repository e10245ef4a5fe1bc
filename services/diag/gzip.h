/*
 * gzip: compresses what is written to it, piece by piece, into a strbuf. Private to diag.
 *
 * Returns:   gzip_begin() and gzip_end() 0, or -ENOMEM, or -EIO when zlib gives up. What fails in
 *            gzip_write() is told by gzip_end(). After an error OUT is as it was.
 * Ownership: gzip_end() gives back everything; call it after every successful gzip_begin().
 * Thread:    one thread at a time per stream.
 * Source:    RFC 1952, without name and time: equal input gives equal output.
 */
#ifndef SICKBAY_DIAG_GZIP_H
#define SICKBAY_DIAG_GZIP_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "common/strbuf.h"

#define GZIP_STAGING_BYTES (16 * 1024)

struct gzip {
	z_stream stream;
	struct strbuf *out;
	size_t out_start_bytes; /* OUT's length before */
	int error;
	size_t staged_bytes;
	uint8_t staging[GZIP_STAGING_BYTES];
};

int gzip_begin(struct gzip *gzip, struct strbuf *out) __attribute__((warn_unused_result));
void gzip_write(struct gzip *gzip, const void *data, size_t len_bytes);
int gzip_end(struct gzip *gzip) __attribute__((warn_unused_result));

#endif
