/*
 * read_metrics: an answer of /metrics, as its readers see it.
 *
 * Errors:    each of them fails the test.
 */
#ifndef SICKBAY_TESTS_READ_METRICS_H
#define SICKBAY_TESTS_READ_METRICS_H

#include "common/strbuf.h"

/* The value of SAMPLE, as it is written: "app_step{number=\"0\"}". */
double read_metric(const struct strbuf *text, const char *sample);
/* Promtool, Prometheus' own reader, finds nothing wrong with TEXT. */
void check_metrics(const struct strbuf *text);

#endif
