#include "read_metrics.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

double read_metric(const struct strbuf *text, const char *sample)
{
	size_t len_bytes = strlen(sample);

	for (const char *line = text->data; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, sample, len_bytes) == 0 && line[len_bytes] == ' ')
			return strtod(line + len_bytes, NULL);
	}
	fail_msg("there is no %s in\n%s", sample, text->data);
	return 0;
}

void check_metrics(const struct strbuf *text)
{
	FILE *promtool;

	if (system("command -v promtool >/dev/null") != 0)
		fail_msg("promtool is missing; type: sudo apt-get install prometheus");
	promtool = popen("promtool check metrics 2>&1", "w");
	assert_non_null(promtool);
	assert_int_equal(fwrite(text->data, 1, text->len_bytes, promtool), text->len_bytes);
	if (pclose(promtool) != 0)
		fail_msg("promtool, above, does not like\n%s", text->data);
}
