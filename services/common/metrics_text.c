#include "common/metrics_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_BYTES 32

/* A backslash before each of SPECIAL, and "\n" for a newline, which would end the line. */
static void add_escaped(struct strbuf *out, const char *text, const char *special)
{
	while (*text) {
		size_t plain_bytes = strcspn(text, special);

		strbuf_add_utf8(out, text, plain_bytes);
		text += plain_bytes;
		if (*text) {
			strbuf_add(out, (char[]){'\\', *text == '\n' ? 'n' : *text}, 2);
			text++;
		}
	}
}

/* Fifteen digits: all that a double surely keeps of a decimal number, so that 0.1 stays 0.1. */
static const char *format_number(char text[NUMBER_BYTES], double number)
{
	if (isnan(number))
		return "NaN";
	if (isinf(number))
		return number > 0 ? "+Inf" : "-Inf";
	snprintf(text, NUMBER_BYTES, "%.15g", number);
	return text;
}

static void add_label(struct strbuf *out, char before, const char *name, const char *value)
{
	strbuf_printf(out, "%c%s=\"", before, name);
	add_escaped(out, value, "\\\"\n");
	strbuf_puts(out, "\"");
}

/* BOUND: that of a histogram's bucket, or NULL. */
static void add_sample(struct metrics_text *out, const char *suffix,
	const struct metrics_label *labels, const double *bound, double value)
{
	char number[NUMBER_BYTES], before = '{';

	strbuf_printf(&out->text, "%s%s", out->family, suffix);
	for (; labels && labels->name; labels++) {
		add_label(&out->text, before, labels->name, labels->value);
		before = ',';
	}
	if (bound) {
		add_label(&out->text, before, "le", format_number(number, *bound));
		before = ',';
	}
	strbuf_printf(
		&out->text, "%s %s\n", before == ',' ? "}" : "", format_number(number, value));
}

void metrics_text_family(
	struct metrics_text *out, const char *name, enum metrics_type type, const char *help)
{
	static const char *const types[] = {
		[METRICS_COUNTER] = "counter",
		[METRICS_GAUGE] = "gauge",
		[METRICS_HISTOGRAM] = "histogram",
	};

	out->family = name;
	strbuf_printf(&out->text, "# HELP %s ", name);
	add_escaped(&out->text, help, "\\\n");
	strbuf_printf(&out->text, "\n# TYPE %s %s\n", name, types[type]);
}

void metrics_text_sample(struct metrics_text *out, const struct metrics_label *labels, double value)
{
	add_sample(out, "", labels, NULL, value);
}

void metrics_text_histogram(struct metrics_text *out, const struct metrics_label *labels,
	const struct metrics_histogram *histogram)
{
	const double no_bound = INFINITY;
	uint64_t count = 0;

	for (size_t i = 0; i <= histogram->bound_count; i++) {
		count += histogram->counts[i];
		add_sample(out, "_bucket", labels,
			i < histogram->bound_count ? &histogram->bounds[i] : &no_bound,
			(double)count);
	}
	add_sample(out, "_sum", labels, NULL, histogram->sum);
	add_sample(out, "_count", labels, NULL, (double)count);
}
