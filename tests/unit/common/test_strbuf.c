#include "../support/test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/strbuf.h"

static void grows_and_stays_terminated(void **state)
{
	struct strbuf buf = STRBUF_INIT;
	char *data;

	(void)state;
	assert_null(buf.data);
	strbuf_add(&buf, NULL, 0);
	assert_string_equal(buf.data, "");
	for (int i = 0; i < 1000; i++) {
		strbuf_add(&buf, "0123456789", 10);
		assert_int_equal(buf.data[buf.len_bytes], '\0');
	}
	assert_int_equal(buf.len_bytes, 10000);
	memcpy(strbuf_reserve(&buf, 3), "xyz", 3);
	strbuf_grew(&buf, 3);
	assert_string_equal(buf.data + 9998, "89xyz");
	data = strbuf_detach(&buf);
	assert_null(buf.data);
	assert_int_equal(strlen(data), 10003);
	free(data);
	strbuf_free(&buf);
}

static void formats_any_length(void **state)
{
	struct strbuf buf = STRBUF_INIT;
	char expected[400];

	(void)state;
	for (int length = 0; length < 300; length += 7) {
		memset(expected, ' ', length);
		expected[length] = '\0';
		if (length)
			expected[length - 1] = 'x';
		buf.len_bytes = 0;
		strbuf_printf(&buf, "%*s", length, length ? "x" : "");
		assert_string_equal(buf.data, expected);
		assert_int_equal(buf.len_bytes, length);
	}
	strbuf_free(&buf);
}

static void escapes_json(void **state)
{
	static const struct {
		const char *text, *escaped;
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"\"\\\n\r\t\b\f", "\\\"\\\\\\n\\r\\t\\b\\f"},
		{"\x01\x1f\x7f", "\\u0001\\u001f\\u007f"},
		{"1.5\u00b5s \u20ac \U0001f600", "1.5\u00b5s \u20ac \U0001f600"},
		{"a\xff", "a\\ufffd"},
		{"\xc3", "\\ufffd"},
		{"\xc0\x80", "\\ufffd\\ufffd"},
		{"\xe0\x80\x80", "\\ufffd\\ufffd\\ufffd"},
		{"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
		{"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
		{"\xe2\x82x", "\\ufffd\\ufffdx"},
	};
	struct strbuf buf = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf.len_bytes = 0;
		strbuf_json_escape(&buf, cases[i].text, strlen(cases[i].text));
		assert_string_equal(buf.data, cases[i].escaped);
	}
	buf.len_bytes = 0;
	strbuf_json_escape(&buf, "a\0b", 3);
	assert_string_equal(buf.data, "a\\u0000b");
	strbuf_free(&buf);
}

static void escapes_html(void **state)
{
	struct strbuf buf = STRBUF_INIT;

	(void)state;
	strbuf_html_escape(&buf, "<a href=\"x\">'&'</a>");
	assert_string_equal(buf.data, "&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;");
	strbuf_free(&buf);
}

static void reads_files(void **state)
{
	struct strbuf buf = STRBUF_INIT;
	char *bytes = calloc(1, 100000);
	int ends[2];

	(void)state;
	assert_int_equal(strbuf_read_file(&buf, "/proc/self/maps", 1 << 20), 0);
	assert_non_null(strstr(buf.data, "[stack]"));
	assert_int_equal(strbuf_read_file(&buf, "/nonexistent", 10), -ENOENT);
	assert_int_equal(strbuf_read_file(&buf, "/proc/self", 10), -EISDIR);
	for (size_t max_bytes = 9999; max_bytes <= 10001; max_bytes++) {
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(write(ends[1], bytes, 10000), 10000);
		close(ends[1]);
		buf.len_bytes = 0;
		assert_int_equal(
			strbuf_read_fd(&buf, ends[0], max_bytes), max_bytes < 10000 ? -EFBIG : 0);
		if (max_bytes >= 10000)
			assert_int_equal(buf.len_bytes, 10000);
		assert_int_equal(buf.data[buf.len_bytes], '\0');
		close(ends[0]);
	}
	free(bytes);
	strbuf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_stays_terminated),
		cmocka_unit_test(formats_any_length),
		cmocka_unit_test(escapes_json),
		cmocka_unit_test(escapes_html),
		cmocka_unit_test(reads_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
