/*
 * metrics: the patient's requests, counted by step, variant and outcome, and how long they took; for
 * /metrics.
 *
 * Shape:     a request counts when its business ends, before it is answered. One that waits, or never
 *            got a worker, counts nowhere yet. Steps go by the names of their faults, blanks as "_".
 * Thread:    MT-Safe, without locks; a few nanoseconds a request.
 */
#ifndef SICKBAY_APP_METRICS_H
#define SICKBAY_APP_METRICS_H

#include <stdint.h>

#include "app/step.h"
#include "common/metrics_text.h"

enum metrics_outcome {
	METRICS_OK,
	METRICS_FAILED,
	METRICS_LEFT, /* done, but the client has gone */
	METRICS_OUTCOMES
};

void metrics_count_request(
	const struct step_turn *turn, enum metrics_outcome outcome, int64_t duration_ns);
/* For debug_metrics_add(). */
void metrics_collect(struct metrics_text *out);

#endif
