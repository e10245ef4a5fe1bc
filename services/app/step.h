/*
 * step: which fault the patient has now, and the way from one to the next.
 *
 *     step_begin(&turn);  turn.fault->serve(...);  step_end(&turn);      each request
 *     step_switch(6, false);                                             /goto
 *
 * A switch is atomic: a request is served by one step from its beginning to its end. While a switch
 * is under way the patient is well: requests that begin then are served by step 0.
 *
 * Returns:   step_switch() 0; -EINVAL no such step; -ETIMEDOUT requests of the old step did not end
 *            within STEP_DRAIN_MS: the patient is at step 0, and the next switch goes on waiting
 *            for them; else enter()'s error: the patient is at step 0.
 * Thread:    MT-Safe. Switches wait for one another; step_begin() and step_end() wait for nobody.
 */
#ifndef SICKBAY_APP_STEP_H
#define SICKBAY_APP_STEP_H

#include <stdbool.h>

#include "app/fault.h"

#define STEP_DRAIN_MS 1000

enum {
#define FAULT(symbol) STEP_OF_##symbol,
#include "app/faults.def"
#undef FAULT
	STEP_COUNT
};

struct step_turn {
	int step;
	const struct fault *fault;
	bool fixed;
};

const struct fault *step_fault(int step);
int step_current(bool *fixed);

void step_begin(struct step_turn *turn);
void step_end(const struct step_turn *turn);
/* The step of this turn is being left. */
bool step_released(const struct step_turn *turn);

int step_switch(int step, bool fixed) __attribute__((warn_unused_result));

#endif
