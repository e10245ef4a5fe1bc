#include "desk/answer.h"

#include <ctype.h>
#include <string.h>

#define BLANKS " \t\r"

struct line {
	const char *key, *value;
	size_t key_bytes, value_bytes;
};

/* The next line that says something; false at the end. */
static bool next_line(const char **at, struct line *line)
{
	while (**at) {
		const char *begin = *at + strspn(*at, BLANKS);
		const char *end = begin + strcspn(begin, "\n");

		*at = *end ? end + 1 : end;
		while (end > begin && strchr(BLANKS, end[-1]))
			end--;
		if (begin == end || *begin == '#')
			continue;
		line->key = begin;
		line->key_bytes = strcspn(begin, BLANKS "\n");
		line->value = begin + line->key_bytes;
		line->value += strspn(line->value, BLANKS);
		line->value_bytes = line->value < end ? (size_t)(end - line->value) : 0;
		return true;
	}
	return false;
}

static bool is_key(const struct line *line, const char *key)
{
	return line->key_bytes == strlen(key) && memcmp(line->key, key, line->key_bytes) == 0;
}

/* Whether a byte is part of a word: letters of other languages are, too. */
static bool is_of_word(char byte)
{
	return isalnum((unsigned char)byte) || (unsigned char)byte >= 0x80;
}

/* TEXT as its words alone, each followed by a blank; false if there is none, or too much. */
static bool spell(const char *text, size_t len_bytes, char out[ANSWER_BYTES])
{
	size_t out_bytes = 0, word_bytes = 0;

	/* A blank more for the last word, and the NUL. */
	if (len_bytes + 2 > ANSWER_BYTES)
		return false;
	for (size_t i = 0; i <= len_bytes; i++) {
		if (i < len_bytes && is_of_word(text[i])) {
			out[out_bytes++] = (char)tolower((unsigned char)text[i]);
			word_bytes++;
			continue;
		}
		if (word_bytes > 1 && out[out_bytes - 1] == 's')
			out_bytes--;
		if (word_bytes > 0)
			out[out_bytes++] = ' ';
		word_bytes = 0;
	}
	out[out_bytes] = '\0';
	return out_bytes > 0;
}

/* Whether VALUE is one of those that the file has for KEY. */
static bool is_among(const char *text, const char *key, const char *value)
{
	char wanted[ANSWER_BYTES], given[ANSWER_BYTES];
	struct line line;
	bool found = false;

	if (!spell(value, strlen(value), given))
		return false;
	while (next_line(&text, &line))
		if (is_key(&line, key) && spell(line.value, line.value_bytes, wanted))
			found = found || strcmp(wanted, given) == 0;
	return found;
}

bool answer_has(const char *text, const char *key, const char *value)
{
	struct line line;

	while (next_line(&text, &line))
		if (is_key(&line, key) && line.value_bytes == strlen(value) &&
			memcmp(line.value, value, line.value_bytes) == 0)
			return true;
	return false;
}

bool answer_is_right(const char *text, const char *function, const char *resource)
{
	/* Both are looked at, whatever the first one is. */
	bool is_function = is_among(text, "function", function);
	bool is_resource = is_among(text, "resource", resource);

	return is_function && is_resource;
}

void answer_add_seen(const char *text, struct strbuf *out)
{
	struct line line;

	while (next_line(&text, &line)) {
		if (!is_key(&line, "seen"))
			continue;
		if (out->len_bytes > 0)
			strbuf_puts(out, "\n");
		strbuf_add_utf8(out, line.value, line.value_bytes);
	}
}
