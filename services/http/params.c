#include "http/params.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/parse.h"

/* "-9223372036854775808" and its NUL; more digits are out of any range. */
#define INT_TEXT_BYTES 21

static int hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	if (character >= 'A' && character <= 'F')
		return character - 'A' + 10;
	return -1;
}

/* The character at *TEXT, which moves past it; -1 for a bad escape. */
static int decode_one(const char **text, const char *end)
{
	int high, low;

	if (**text == '+') {
		(*text)++;
		return ' ';
	}
	if (**text != '%')
		return (unsigned char)*(*text)++;
	if (end - *text < 3)
		return -1;
	high = hex_digit((*text)[1]);
	low = hex_digit((*text)[2]);
	if (high < 0 || low < 0)
		return -1;
	*text += 3;
	return high << 4 | low;
}

static bool decodes_to(const char *text, const char *end, const char *key)
{
	while (text < end) {
		int character = decode_one(&text, end);

		if (character <= 0 || character != (unsigned char)*key++)
			return false;
	}
	return !*key;
}

/* The still encoded value of KEY: [*value, *end). */
static bool find_value(const char *query, const char *key, const char **value, const char **end)
{
	for (;; query = *end + 1) {
		const char *equals;

		*end = strchrnul(query, '&');
		equals = memchr(query, '=', *end - query);
		if (decodes_to(query, equals ? equals : *end, key)) {
			*value = equals ? equals + 1 : *end;
			return true;
		}
		if (!**end)
			return false;
	}
}

/* Only measures when OUT is NULL. Returns 0, -EINVAL or -ERANGE. */
static int decode_value(const char *text, const char *end, char *out, size_t cap_bytes)
{
	size_t len_bytes = 0;

	while (text < end) {
		int character = decode_one(&text, end);

		if (character <= 0)
			return -EINVAL;
		if (out && len_bytes + 1 < cap_bytes)
			out[len_bytes] = character;
		len_bytes++;
	}
	if (len_bytes + 1 > cap_bytes)
		return -ERANGE;
	if (out)
		out[len_bytes] = '\0';
	return 0;
}

int params_string(
	const char *query, const char *key, const char *default_value, char *out, size_t cap_bytes)
{
	const char *value, *end;
	int result;

	if (!find_value(query, key, &value, &end)) {
		if (strlen(default_value) + 1 > cap_bytes)
			return -ERANGE;
		strncpy(out, default_value, cap_bytes);
		return 0;
	}
	/* Twice, because OUT stays as it is on error. */
	result = decode_value(value, end, NULL, cap_bytes);
	return result ? result : decode_value(value, end, out, cap_bytes);
}

int params_int(const char *query, const char *key, int64_t default_value, int64_t min, int64_t max,
	int64_t *out)
{
	const char *value, *end;
	char text[INT_TEXT_BYTES];
	int result;

	if (!find_value(query, key, &value, &end)) {
		*out = default_value;
		return 0;
	}
	result = decode_value(value, end, text, sizeof(text));
	return result ? result : parse_int(text, min, max, out);
}
