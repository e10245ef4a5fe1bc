/*
 * metrics_text: what a program counts, in Prometheus' text exposition format.
 *
 *     struct metrics_text out = METRICS_TEXT_INIT;
 *
 *     metrics_text_family(&out, "app_answers_total", METRICS_COUNTER, "Answers so far.");
 *     metrics_text_sample(&out, METRICS_LABELS({"status", "2xx"}), 12);
 *     metrics_text_sample(&out, METRICS_LABELS({"status", "5xx"}), 1);
 *
 * Shape:     a family's samples follow it, before the next family; each name is a family once. Names
 *            are as the format wants them; values of labels, and help, may be any bytes.
 * Errors:    none to check: growing dies loudly (common/alloc.h).
 * Ownership: `text` is the caller's: strbuf_free(). The name of a family must outlive its samples.
 * Thread:    one thread at a time per text.
 * Source:    Prometheus, "Exposition formats", text-based format 0.0.4.
 */
#ifndef SICKBAY_COMMON_METRICS_TEXT_H
#define SICKBAY_COMMON_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_text {
	struct strbuf text;
	const char *family;
};

#define METRICS_TEXT_INIT      \
	{                      \
		STRBUF_INIT, 0 \
	}

struct metrics_label {
	const char *name, *value;
};

/* What the functions below take: an array that ends with a label without a name. NULL: no labels. */
#define METRICS_LABELS(...)            \
	(const struct metrics_label[]) \
	{                              \
		__VA_ARGS__,           \
		{                      \
			NULL, NULL     \
		}                      \
	}

struct metrics_histogram {
	const double *bounds; /* the upper ones, ascending; the last bucket has none */
	size_t bound_count;
	const uint64_t *counts; /* of each bucket by itself: bound_count + 1 of them */
	double sum;
};

void metrics_text_family(
	struct metrics_text *out, const char *name, enum metrics_type type, const char *help);
/* Of a counter or a gauge. Whole numbers are exact up to 10^15. */
void metrics_text_sample(
	struct metrics_text *out, const struct metrics_label *labels, double value);
void metrics_text_histogram(struct metrics_text *out, const struct metrics_label *labels,
	const struct metrics_histogram *histogram);

#endif
