/*
 * patient_read: what the patient says of itself, read from its texts. Whatever may listen at its
 * address, and whatever it may have become: each byte of them is hostile.
 *
 * Errors:    -EBADMSG where nothing in the text is what was asked for. A line that is not as it should
 *            be is passed over.
 * Thread:    MT-Safe.
 * Source:    /metrics: Prometheus, "Exposition formats", text-based format 0.0.4. /goto without a step:
 *            services/app/goto.c.
 */
#ifndef SICKBAY_DESK_PATIENT_READ_H
#define SICKBAY_DESK_PATIENT_READ_H

#include <stddef.h>

#define PATIENT_TEXT_MAX_BYTES (1024 * 1024)
#define PATIENT_STEPS_MAX 32
#define PATIENT_VARIANT_BYTES 8
#define PATIENT_NAME_BYTES 32
#define PATIENT_DOES_BYTES 128

/* NAN, -1 or "": it was not said. A number is finite and not below 0. */
struct patient_numbers {
	double pid;
	double start_s; /* since 1970, UTC */
	double cpu_s;
	double rss_bytes, heap_in_use_bytes, heap_allocated_bytes;
	double threads, fds;
	double connections;        /* of both kinds: those it made, and those made to it */
	double answers, answers_s; /* requests that ended, and how long all of them took */
	int step;
	char variant[PATIENT_VARIANT_BYTES]; /* "leaky" or "fixed" */
};

struct patient_step {
	int number;
	char name[PATIENT_NAME_BYTES], does[PATIENT_DOES_BYTES];
};

/* TEXT ends with a NUL. */
int patient_read_numbers(const char *text, struct patient_numbers *numbers)
	__attribute__((warn_unused_result));
int patient_read_steps(const char *text, struct patient_step steps[PATIENT_STEPS_MAX],
	size_t *count) __attribute__((warn_unused_result));

#endif
