/*
 * requests: what the desk asks the patient for, in the name of a person who presses a button: GET /.
 *
 *     event "answer"   passing: {"ms":12.3,"status":200,"step":6,"why":""}; the step is that in which it
 *                      was asked. status 0: there was no answer, and why says so.
 *     event "load"     kept: {"rate":5,"in_flight":3,"held_back":0}
 *
 * Shape:     at most REQUESTS_MAX are under way; of a steady rate, what would be more is held back,
 *            and counted.
 * Returns:   requests_start() 0 or -errno; requests_send() 0, or -EAGAIN, and sends none, if not all of
 *            them would fit.
 * Thread:    requests_start() and requests_stop() from the main thread; the others are MT-Safe.
 */
#ifndef SICKBAY_DESK_REQUESTS_H
#define SICKBAY_DESK_REQUESTS_H

#define REQUESTS_MAX 32
#define REQUESTS_RATE_MAX 20 /* per second */

/* After patient_start(). BASE_URL must outlive the process. */
int requests_start(const char *base_url) __attribute__((warn_unused_result));
/* Those under way are given up. */
void requests_stop(void);

int requests_send(unsigned count) __attribute__((warn_unused_result));
/* So many per second, until another rate is set. */
void requests_set_rate(unsigned rate);

#endif
