#include "diag/gzip.h"

#include <errno.h>
#include <string.h>

#define WINDOW_BITS (15 + 16) /* the largest window; 16 asks for gzip's header */
#define MEMORY_LEVEL 8
#define OUTPUT_STEP_BYTES (16 * 1024)

int gzip_begin(struct gzip *gzip, struct strbuf *out)
{
	gzip->stream = (z_stream){0};
	gzip->out = out;
	gzip->out_start_bytes = out->len_bytes;
	gzip->error = 0;
	gzip->staged_bytes = 0;
	switch (deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
		Z_DEFAULT_STRATEGY)) {
	case Z_OK:
		return 0;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static void compress_staged(struct gzip *gzip, int flush)
{
	z_stream *stream = &gzip->stream;
	int result = Z_OK;

	stream->next_in = gzip->staging;
	stream->avail_in = (uInt)gzip->staged_bytes;
	gzip->staged_bytes = 0;
	if (gzip->error)
		return;
	do {
		stream->next_out = (Bytef *)strbuf_reserve(gzip->out, OUTPUT_STEP_BYTES);
		stream->avail_out = OUTPUT_STEP_BYTES;
		result = deflate(stream, flush);
		strbuf_grew(gzip->out, OUTPUT_STEP_BYTES - stream->avail_out);
	} while (result == Z_OK && stream->avail_out == 0);
	if (result != (flush == Z_FINISH ? Z_STREAM_END : Z_OK) && result != Z_BUF_ERROR)
		gzip->error = -EIO;
}

/*
 * The encoder writes a few bytes at a time: handing each of them to zlib would cost more than
 * packing them.
 */
void gzip_write(struct gzip *gzip, const void *data, size_t len_bytes)
{
	const uint8_t *bytes = data;

	while (len_bytes > 0) {
		size_t room = GZIP_STAGING_BYTES - gzip->staged_bytes;
		size_t part = len_bytes < room ? len_bytes : room;

		memcpy(gzip->staging + gzip->staged_bytes, bytes, part);
		gzip->staged_bytes += part;
		bytes += part;
		len_bytes -= part;
		if (gzip->staged_bytes == GZIP_STAGING_BYTES)
			compress_staged(gzip, Z_NO_FLUSH);
	}
}

int gzip_end(struct gzip *gzip)
{
	struct strbuf *out = gzip->out;

	compress_staged(gzip, Z_FINISH);
	deflateEnd(&gzip->stream);
	if (gzip->error && out->data) {
		out->len_bytes = gzip->out_start_bytes;
		out->data[out->len_bytes] = '\0';
	}
	return gzip->error;
}
