/*
 * capture_ask: one capture asked of the patient, whose answer goes into a sink piece by piece.
 *
 * Returns:   0 or -errno and a sentence; what the sink returned where that failed.
 * Thread:    MT-Safe, a client one thread at a time; waits for the patient.
 */
#ifndef SICKBAY_DESK_CAPTURE_ASK_H
#define SICKBAY_DESK_CAPTURE_ASK_H

#include "client/client.h"
#include "desk/capture_name.h"
#include "desk/capture_store.h"

int capture_ask(struct client *client, const struct capture_facts *facts, capture_sink *sink,
	void *context, struct capture_error *error) __attribute__((warn_unused_result));

#endif
