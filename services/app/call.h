/*
 * call: one request's way through a fault, as the handlers see it; faults see only fault.h.
 *
 * Ownership: the handler owns the call; it lives as long as serve() runs.
 * Thread:    the thread that serves.
 */
#ifndef SICKBAY_APP_CALL_H
#define SICKBAY_APP_CALL_H

#include "app/step.h"

struct fault_call {
	struct step_turn turn;
	/* Both get CONTEXT; either may be NULL. */
	bool (*client_left)(const void *context);
	void (*on_fail)(const void *context, int err, const char *reason);
	const void *context;
};

#endif
