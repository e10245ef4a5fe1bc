#include "desk/capture_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

#define PROFILE ".pb.gz"
#define TRACE ".pftrace"

static const struct capture_kind kinds[] = {
	{"cpu", "what the processor is busy with", "profile", PROFILE, 10, true, false},
	{"heap", "memory: who has it, and all that was allocated", "heap", PROFILE, 0, false,
		false},
	{"threads", "where every thread stands now", "threads", PROFILE, 0, false, false},
	{"wall", "what threads spend time on, running or waiting", "wall", PROFILE, 5, true, false},
	{"mutex", "who makes others wait for a mutex", "mutex", PROFILE, 0, false, false},
	{"block", "where threads wait for each other", "block", PROFILE, 0, false, false},
	{"fd", "who opened the files that are open now", "fd", PROFILE, 0, false, false},
	{"connections", "who opened the connections that are open now", "connections", PROFILE, 0,
		false, false},
	{"sched", "which threads could run, but get no processor", "sched", PROFILE, 5, true,
		false},
	{"trace", "everything that happens, on a time line", "trace", TRACE, 5, true, false},
	{"kernel", "a trace with the kernel's side: when threads ran, all their system calls",
		"trace", TRACE, 5, true, true},
};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static const struct {
	const char *text;
	enum capture_viewer viewer;
} endings[] = {
	{PROFILE, CAPTURE_PPROF},
	{".pb", CAPTURE_PPROF},
	{".prof", CAPTURE_PPROF},
	{".pprof", CAPTURE_PPROF},
	{TRACE, CAPTURE_TIMELINE},
	{".perfetto-trace", CAPTURE_TIMELINE},
};

const struct capture_kind *capture_kind_find(const char *name, size_t len_bytes)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (strlen(kinds[i].name) == len_bytes &&
			memcmp(kinds[i].name, name, len_bytes) == 0)
			return &kinds[i];
	return NULL;
}

const struct capture_kind *capture_kind_at(size_t index)
{
	return index < KIND_COUNT ? &kinds[index] : NULL;
}

/* ---- endings ---- */

static const char *find_ending(const char *name, enum capture_viewer *viewer)
{
	size_t len_bytes = strlen(name);

	*viewer = CAPTURE_NO_VIEWER;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t ending_bytes = strlen(endings[i].text);

		if (len_bytes <= ending_bytes ||
			strcmp(name + len_bytes - ending_bytes, endings[i].text) != 0)
			continue;
		*viewer = endings[i].viewer;
		return name + len_bytes - ending_bytes;
	}
	return name + len_bytes;
}

const char *capture_name_ending(const char *name)
{
	enum capture_viewer viewer;

	return find_ending(name, &viewer);
}

enum capture_viewer capture_name_viewer(const char *name)
{
	enum capture_viewer viewer;

	find_ending(name, &viewer);
	return viewer;
}

/* ---- words ---- */

/* The number in BEFORE, digits, AFTER, up to three digits; -1 if WORD is not that. */
static int number_in(const char *word, size_t len_bytes, const char *before, const char *after)
{
	size_t before_bytes = strlen(before), after_bytes = strlen(after);
	int number = 0;

	if (len_bytes <= before_bytes + after_bytes || len_bytes > before_bytes + after_bytes + 3 ||
		memcmp(word, before, before_bytes) != 0 ||
		memcmp(word + len_bytes - after_bytes, after, after_bytes) != 0)
		return -1;
	for (const char *at = word + before_bytes; at < word + len_bytes - after_bytes; at++) {
		if (*at < '0' || *at > '9')
			return -1;
		number = 10 * number + *at - '0';
	}
	return number;
}

static bool is_word(const char *word, size_t len_bytes, const char *expected)
{
	return len_bytes == strlen(expected) && memcmp(word, expected, len_bytes) == 0;
}

/* Returns where the facts begin, or the ending. */
static const char *read_words(const char *name, struct capture_facts *facts)
{
	const char *end = capture_name_ending(name), *step_at = NULL, *kind_at = NULL,
		   *before = NULL;

	*facts = (struct capture_facts){.step = CAPTURE_STEP_UNKNOWN};
	for (const char *word = name; word < end; before = word, word += strcspn(word, "-") + 1) {
		size_t rest_bytes = (size_t)(end - word), len_bytes = strcspn(word, "-");
		const struct capture_kind *kind;
		int number;

		len_bytes = len_bytes < rest_bytes ? len_bytes : rest_bytes;
		kind = capture_kind_find(word, len_bytes);
		if (kind) {
			kind_at = word;
			facts->kind = kind;
			facts->seconds = 0;
		} else if ((number = number_in(word, len_bytes, "step", "")) >= 0) {
			step_at = word;
			facts->step = number;
			facts->is_fixed = false;
		} else if (before && before == step_at && is_word(word, len_bytes, "fixed")) {
			facts->is_fixed = true;
		} else if (before && before == kind_at &&
			   (number = number_in(word, len_bytes, "", "s")) >= 0) {
			facts->seconds = number;
		}
	}
	if (step_at && kind_at)
		return step_at < kind_at ? step_at : kind_at;
	return step_at ? step_at : kind_at ? kind_at : end;
}

void capture_name_read(const char *name, struct capture_facts *facts)
{
	read_words(name, facts);
	if (!facts->kind && strcmp(capture_name_ending(name), TRACE) == 0)
		facts->kind = capture_kind_find("trace", strlen("trace"));
}

size_t capture_name_label_bytes(const char *name)
{
	struct capture_facts facts;
	const char *end = read_words(name, &facts);

	return (size_t)(end - name) - (end > name && end[-1] == '-');
}

int capture_name_relabel(char result[CAPTURE_NAME_BYTES], const char *name, const char *label)
{
	struct capture_facts facts;
	const char *rest = read_words(name, &facts);
	const char *dash = rest == capture_name_ending(name) ? "" : "-";

	return snprintf(result, CAPTURE_NAME_BYTES, "%s%s%s", label, dash, rest) <
			       CAPTURE_NAME_BYTES
		       ? 0
		       : -EINVAL;
}

void capture_name_make(char name[CAPTURE_NAME_BYTES], const char *label,
	const struct capture_facts *facts, int64_t time_ns)
{
	time_t time_s = time_ns / CLOCK_NS_PER_SEC;
	char step[16] = "", window[16] = "", moment[32];
	struct tm tm;

	if (facts->step != CAPTURE_STEP_UNKNOWN)
		snprintf(step, sizeof(step), "step%d-", facts->step);
	if (facts->seconds)
		snprintf(window, sizeof(window), "%ds-", facts->seconds);
	gmtime_r(&time_s, &tm);
	strftime(moment, sizeof(moment), "%Y%m%d-%H%M%S", &tm);
	snprintf(name, CAPTURE_NAME_BYTES, "%s%s%s%s%s-%s%s%s", label, *label ? "-" : "", step,
		facts->is_fixed ? "fixed-" : "", facts->kind->name, window, moment,
		facts->kind->ending);
}

bool capture_label_is_good(const char *label)
{
	return *label && strlen(label) < CAPTURE_LABEL_BYTES && label[0] != '-' &&
	       capture_name_is_plain(label);
}
