#include "common/strbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/nofile.h"

#define STRBUF_FIRST_BYTES 64
#define STRBUF_READ_BYTES 4096

char *strbuf_reserve(struct strbuf *buf, size_t len_bytes)
{
	size_t needed_bytes, cap_bytes;

	if (__builtin_add_overflow(buf->len_bytes, len_bytes, &needed_bytes) ||
		needed_bytes >= SIZE_MAX / 2)
		needed_bytes = SIZE_MAX - 1; /* let the allocator refuse it, loudly */
	needed_bytes++;                      /* the NUL */
	if (needed_bytes > buf->cap_bytes) {
		cap_bytes = buf->cap_bytes ? buf->cap_bytes : STRBUF_FIRST_BYTES;
		while (cap_bytes < needed_bytes)
			cap_bytes = cap_bytes > SIZE_MAX / 2 ? needed_bytes : cap_bytes * 2;
		buf->data = xrealloc(buf->data, cap_bytes, 1);
		buf->cap_bytes = cap_bytes;
	}
	return buf->data + buf->len_bytes;
}

void strbuf_grew(struct strbuf *buf, size_t len_bytes)
{
	buf->len_bytes += len_bytes;
	buf->data[buf->len_bytes] = '\0';
}

void strbuf_add(struct strbuf *buf, const void *data, size_t len_bytes)
{
	char *at = strbuf_reserve(buf, len_bytes);

	if (len_bytes)
		memcpy(at, data, len_bytes);
	strbuf_grew(buf, len_bytes);
}

void strbuf_puts(struct strbuf *buf, const char *text)
{
	strbuf_add(buf, text, strlen(text));
}

void strbuf_printf(struct strbuf *buf, const char *format, ...)
{
	va_list arguments, again;
	size_t room_bytes;
	char *at;
	int wanted;

	va_start(arguments, format);
	va_copy(again, arguments);
	at = strbuf_reserve(buf, STRBUF_FIRST_BYTES);
	room_bytes = buf->cap_bytes - buf->len_bytes;
	wanted = vsnprintf(at, room_bytes, format, arguments);
	if (wanted >= 0 && (size_t)wanted >= room_bytes) {
		at = strbuf_reserve(buf, wanted);
		wanted = vsnprintf(at, wanted + 1, format, again);
	}
	strbuf_grew(buf, wanted > 0 ? wanted : 0);
	va_end(again);
	va_end(arguments);
}

/* How many bytes at TEXT are one well-formed UTF-8 sequence (RFC 3629); 0: not well-formed. */
static size_t utf8_sequence_bytes(const unsigned char *text, size_t len_bytes)
{
	unsigned char first = text[0], low = 0x80, high = 0xbf;
	size_t need_bytes;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	need_bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (len_bytes < need_bytes)
		return 0;
	if (first == 0xe0)
		low = 0xa0; /* no overlong forms */
	else if (first == 0xed)
		high = 0x9f; /* no surrogates */
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f; /* nothing past U+10FFFF */
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < need_bytes; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return need_bytes;
}

void strbuf_add_utf8(struct strbuf *buf, const char *text, size_t len_bytes)
{
	const char *end = text + len_bytes;

	while (text < end) {
		size_t sequence_bytes = utf8_sequence_bytes(
			(const unsigned char *)text, end - text);

		if (sequence_bytes)
			strbuf_add(buf, text, sequence_bytes);
		else
			strbuf_puts(buf, "\ufffd");
		text += sequence_bytes ? sequence_bytes : 1;
	}
}

static void json_escape_byte(struct strbuf *buf, unsigned char byte)
{
	static const char short_forms[][2] = {{'"', '"'}, {'\\', '\\'}, {'\n', 'n'}, {'\r', 'r'},
		{'\t', 't'}, {'\b', 'b'}, {'\f', 'f'}};

	for (size_t i = 0; i < sizeof(short_forms) / sizeof(short_forms[0]); i++) {
		if (byte == (unsigned char)short_forms[i][0]) {
			strbuf_add(buf, (char[]){'\\', short_forms[i][1]}, 2);
			return;
		}
	}
	strbuf_printf(buf, "\\u%04x", byte);
}

void strbuf_json_escape(struct strbuf *buf, const char *text, size_t len_bytes)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + len_bytes;
	size_t sequence_bytes;

	strbuf_reserve(buf, len_bytes);
	strbuf_grew(buf, 0);
	while (at < end) {
		sequence_bytes = utf8_sequence_bytes(at, end - at);
		if (!sequence_bytes) {
			strbuf_puts(buf, "\\ufffd");
			at++;
			continue;
		}
		if (*at < 0x20 || *at == 0x7f || *at == '"' || *at == '\\')
			json_escape_byte(buf, *at);
		else
			strbuf_add(buf, at, sequence_bytes);
		at += sequence_bytes;
	}
}

static const char *html_reference(char character)
{
	switch (character) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&#34;";
	case '\'':
		return "&#39;";
	}
	return NULL;
}

void strbuf_html_escape(struct strbuf *buf, const char *text)
{
	size_t plain_bytes;

	while (*text) {
		plain_bytes = strcspn(text, "&<>\"'");
		strbuf_add(buf, text, plain_bytes);
		text += plain_bytes;
		if (*text)
			strbuf_puts(buf, html_reference(*text++));
	}
}

int strbuf_read_fd(struct strbuf *buf, int fd, size_t max_bytes)
{
	size_t total_bytes = 0, room_bytes;
	ssize_t got_bytes;
	char *at;

	for (;;) {
		at = strbuf_reserve(buf, STRBUF_READ_BYTES);
		room_bytes = buf->cap_bytes - buf->len_bytes - 1;
		/* One byte more than allowed tells "exactly MAX_BYTES" from "too many". */
		if (room_bytes > max_bytes - total_bytes)
			room_bytes = max_bytes - total_bytes + 1;
		got_bytes = read(fd, at, room_bytes);
		if (got_bytes < 0 && errno == EINTR)
			continue;
		if (got_bytes <= 0 || (size_t)got_bytes > max_bytes - total_bytes) {
			int err = got_bytes < 0 ? -errno : got_bytes == 0 ? 0 : -EFBIG;

			strbuf_grew(buf, 0); /* ends what came before, and only that */
			return err;
		}
		total_bytes += got_bytes;
		strbuf_grew(buf, got_bytes);
	}
}

int strbuf_read_file(struct strbuf *buf, const char *path, size_t max_bytes)
{
	int fd = nofile_open(path, O_RDONLY), result;

	if (fd < 0)
		return fd;
	result = strbuf_read_fd(buf, fd, max_bytes);
	close(fd);
	return result;
}

char *strbuf_detach(struct strbuf *buf)
{
	char *data = buf->data;

	*buf = (struct strbuf)STRBUF_INIT;
	return data;
}

void strbuf_free(struct strbuf *buf)
{
	free(buf->data);
	*buf = (struct strbuf)STRBUF_INIT;
}
