/*
 * strbuf: a growable byte buffer, always NUL-terminated once something was added.
 *
 * Shape:     start with `struct strbuf buf = STRBUF_INIT`; data is NULL or data[len_bytes] == '\0'.
 * Errors:    none to check: growing dies loudly (common/alloc.h).
 * Ownership: the buffer owns data; strbuf_free() gives it back, strbuf_detach() hands it to the
 *            caller.
 * Thread:    one thread at a time per buffer.
 */
#ifndef SICKBAY_COMMON_STRBUF_H
#define SICKBAY_COMMON_STRBUF_H

#include <stddef.h>

struct strbuf {
	char *data;
	size_t len_bytes;
	size_t cap_bytes;
};

#define STRBUF_INIT        \
	{                  \
		NULL, 0, 0 \
	}

void strbuf_add(struct strbuf *buf, const void *data, size_t len_bytes);
void strbuf_puts(struct strbuf *buf, const char *text);
void strbuf_printf(struct strbuf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Appends TEXT as UTF-8: a byte that is part of no well-formed sequence becomes U+FFFD. */
void strbuf_add_utf8(struct strbuf *buf, const char *text, size_t len_bytes);
/* Appends TEXT as the inside of a JSON string (quotes are the caller's). */
void strbuf_json_escape(struct strbuf *buf, const char *text, size_t len_bytes);
/* Appends TEXT with & < > " ' replaced by character references. */
void strbuf_html_escape(struct strbuf *buf, const char *text);
/* Makes room for LEN_BYTES more and returns where they go; count them with strbuf_grew(). */
char *strbuf_reserve(struct strbuf *buf, size_t len_bytes);
void strbuf_grew(struct strbuf *buf, size_t len_bytes);
/* Appends everything FD has to give. Returns 0 or -errno; never more than MAX_BYTES (-EFBIG). */
int strbuf_read_fd(struct strbuf *buf, int fd, size_t max_bytes);
/* The same for a file by name; for /proc, where sizes are not known beforehand. */
int strbuf_read_file(struct strbuf *buf, const char *path, size_t max_bytes);
char *strbuf_detach(struct strbuf *buf);
void strbuf_free(struct strbuf *buf);

#endif
