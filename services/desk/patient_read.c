#include "desk/patient_read.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/parse.h"

#define NUMBER_BYTES 32
#define LABEL_BYTES 32
#define VALUE_MAX 1e18

/* A number is the sum of all samples of its name, whatever their labels. */
static const struct {
	const char *name;
	size_t offset;
} fields[] = {
#define FIELD(name, field)                                    \
	{                                                     \
		name, offsetof(struct patient_numbers, field) \
	}
	FIELD("app_pid", pid),
	FIELD("process_start_time_seconds", start_s),
	FIELD("process_cpu_seconds_total", cpu_s),
	FIELD("process_resident_memory_bytes", rss_bytes),
	FIELD("app_heap_inuse_bytes", heap_in_use_bytes),
	FIELD("app_heap_allocated_bytes", heap_allocated_bytes),
	FIELD("app_threads", threads),
	FIELD("process_open_fds", fds),
	FIELD("app_http_connections_open", connections),
	FIELD("app_request_duration_seconds_count", answers),
	FIELD("app_request_duration_seconds_sum", answers_s),
#undef FIELD
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

/* ---- a line of /metrics: NAME{LABEL="VALUE",...} NUMBER ---- */

struct sample {
	const char *name, *labels; /* labels: within the braces */
	size_t name_bytes, labels_bytes;
	double value;
};

/* Past the brace that closes the labels at TEXT, or NULL: one within quotes does not. */
static const char *skip_labels(const char *text)
{
	bool quoted = false;

	for (; *text && *text != '\n'; text++) {
		if (quoted && *text == '\\' && text[1] && text[1] != '\n')
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (*text == '}' && !quoted)
			return text + 1;
	}
	return NULL;
}

static bool read_number(const char *text, double *value)
{
	size_t len_bytes = strcspn(text, " \n");
	char number[NUMBER_BYTES], *end;

	/* A plain decimal one: strtod() would take "inf", "nan" and hexadecimals as well. */
	if (len_bytes == 0 || len_bytes >= sizeof(number) ||
		strspn(text, "0123456789.+-eE") != len_bytes)
		return false;
	memcpy(number, text, len_bytes);
	number[len_bytes] = '\0';
	*value = strtod(number, &end);
	return *end == '\0' && *value >= 0 && *value <= VALUE_MAX;
}

static bool read_sample(const char *line, struct sample *sample)
{
	sample->name = line;
	sample->name_bytes = strcspn(line, "{ \n");
	sample->labels = line + sample->name_bytes;
	sample->labels_bytes = 0;
	line = sample->labels;
	if (*line == '{') {
		line = skip_labels(++sample->labels);
		if (!line)
			return false;
		sample->labels_bytes = (size_t)(line - 1 - sample->labels);
	}
	return *line == ' ' && read_number(line + 1, &sample->value);
}

static bool is_named(const struct sample *sample, const char *name)
{
	return sample->name_bytes == strlen(name) &&
	       memcmp(sample->name, name, sample->name_bytes) == 0;
}

/*
 * The value of LABEL, which has no escapes where it is one that we want; false if there is none, or it
 * does not fit.
 */
static bool read_label(
	const struct sample *sample, const char *label, char *value, size_t cap_bytes)
{
	const char *at = sample->labels, *end = at + sample->labels_bytes;
	size_t label_bytes = strlen(label);

	while (at < end) {
		const char *equals = memchr(at, '=', (size_t)(end - at)), *close;

		if (!equals || end - equals < 3 || equals[1] != '"')
			return false;
		close = memchr(equals + 2, '"', (size_t)(end - equals - 2));
		if (!close)
			return false;
		if ((size_t)(equals - at) == label_bytes && memcmp(at, label, label_bytes) == 0)
			return snprintf(value, cap_bytes, "%.*s", (int)(close - equals - 2),
				       equals + 2) < (int)cap_bytes;
		at = close + 1 + (close + 1 < end && close[1] == ',');
	}
	return false;
}

static void take_step(const struct sample *sample, struct patient_numbers *numbers)
{
	char number[LABEL_BYTES], variant[PATIENT_VARIANT_BYTES];
	int64_t step;

	if (!read_label(sample, "number", number, sizeof(number)) ||
		parse_int(number, 0, PATIENT_STEPS_MAX - 1, &step) != 0 ||
		!read_label(sample, "variant", variant, sizeof(variant)) ||
		(strcmp(variant, "leaky") != 0 && strcmp(variant, "fixed") != 0))
		return;
	numbers->step = (int)step;
	memcpy(numbers->variant, variant, sizeof(variant));
}

static double *field(struct patient_numbers *numbers, size_t index)
{
	return (void *)((char *)numbers + fields[index].offset);
}

static const char *next_line(const char *line)
{
	line = strchrnul(line, '\n');
	return *line ? line + 1 : line;
}

int patient_read_numbers(const char *text, struct patient_numbers *numbers)
{
	struct sample sample;
	bool found = false;

	memset(numbers, 0, sizeof(*numbers));
	numbers->step = -1;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		*field(numbers, i) = NAN;
	for (const char *line = text; *line; line = next_line(line)) {
		if (!read_sample(line, &sample))
			continue;
		if (is_named(&sample, "app_step"))
			take_step(&sample, numbers);
		for (size_t i = 0; i < FIELD_COUNT; i++)
			if (is_named(&sample, fields[i].name)) {
				double *sum = field(numbers, i);

				*sum = isnan(*sum) ? sample.value : *sum + sample.value;
				found = true;
			}
	}
	return found ? 0 : -EBADMSG;
}

/* ---- a line of /goto: "/goto?step=N  NAME  DOES", at least two blanks between ---- */

static bool read_step(const char *line, struct patient_step *step)
{
	static const char head[] = "/goto?step=";
	size_t line_bytes = strcspn(line, "\n");
	char text[256], *name, *does;
	int64_t number;

	if (line_bytes >= sizeof(text))
		return false;
	memcpy(text, line, line_bytes);
	text[line_bytes] = '\0';
	name = strstr(text, "  ");
	if (strncmp(text, head, strlen(head)) != 0 || !name)
		return false;
	*name = '\0';
	name += 2;
	does = strstr(name, "  ");
	if (parse_int(text + strlen(head), 0, PATIENT_STEPS_MAX - 1, &number) != 0 || !does)
		return false;
	*does = '\0';
	does += 2 + strspn(does + 2, " ");
	step->number = (int)number;
	return snprintf(step->name, sizeof(step->name), "%s", name) < (int)sizeof(step->name) &&
	       snprintf(step->does, sizeof(step->does), "%s", does) < (int)sizeof(step->does);
}

int patient_read_steps(
	const char *text, struct patient_step steps[PATIENT_STEPS_MAX], size_t *count)
{
	*count = 0;
	for (const char *line = text; *line && *count < PATIENT_STEPS_MAX; line = next_line(line))
		*count += read_step(line, &steps[*count]);
	return *count ? 0 : -EBADMSG;
}
