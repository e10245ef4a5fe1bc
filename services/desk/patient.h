/*
 * patient: how the patient is, asked once a second; and the way to ask it for anything else.
 *
 *     event "patient"   kept, once a second and when something was changed:
 *         {"up":true,"pid":7,"uptime_s":12,"step":6,"variant":"leaky",
 *          "steps":[{"number":0,"name":"none","does":"answers at once"},...],
 *          "health":"ok","since_s":3,"why":""}
 *
 * Shape:     health "ok"; "slow": its debug plane takes its time, or a request of the desk's has been
 *            waiting for a second; "down": it cannot be reached. WHY is then a few words. null, or an
 *            empty list: not known. since_s: for how long its health has been that. What it answers goes to
 *            vitals.h, and a step, a death or a birth becomes a mark there.
 * Returns:   patient_start() 0 or -errno; -EINVAL: the base URL will not do.
 * Thread:    patient_start() and patient_stop() from the main thread; the others are MT-Safe.
 */
#ifndef SICKBAY_DESK_PATIENT_H
#define SICKBAY_DESK_PATIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "common/strbuf.h"
#include "desk/patient_read.h"

#define PATIENT_SLOW_MS 1000

struct patient_now {
	bool up;
	int step; /* -1: not known */
	char variant[PATIENT_VARIANT_BYTES];
};

/* BASE_URL: "http://anchor:6060"; it must outlive the process. */
int patient_start(const char *base_url) __attribute__((warn_unused_result));
void patient_stop(void);

struct patient_now patient_now(void);
/* Has it asked at once: something was changed. */
void patient_look(void);
/* For how long the oldest request that the desk has made has been waiting; 0: none is. */
void patient_tell_waiting(int64_t waiting_ms);

/*
 * GETs PATH with CLIENT and appends its text, of at most PATIENT_TEXT_MAX_BYTES. Returns the status, or
 * -errno (-EFBIG: a longer one; -ETIMEDOUT: also where it was not all there after TOTAL_MS), and ERROR (or
 * NULL) then says what has gone wrong.
 */
int patient_get(struct client *client, const char *path, unsigned total_ms, struct strbuf *text,
	struct client_error *error) __attribute__((warn_unused_result));

#endif
