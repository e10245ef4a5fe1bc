/*
 * verdict: leak or no leak, from measurements alone.
 *
 * Shape:     at each look, what is held and what was taken since the start. A leak: what is held grew at
 *            each of the last VERDICT_LOOKS looks by more than a tenth of what was taken meanwhile.
 *            (The tenth is room for those who look: each connection to the debug server is a descriptor.)
 * Returns:   VERDICT_NONE until there were so many looks, and while nothing is taken: a program that
 *            does nothing leaks nothing, but proves nothing either.
 * Thread:    one at a time per verdict; start with all zeros.
 */
#ifndef SICKBAY_LEAKS_VERDICT_H
#define SICKBAY_LEAKS_VERDICT_H

#include <stdint.h>

#define VERDICT_LOOKS 3

enum verdict { VERDICT_NONE, VERDICT_LEAK, VERDICT_NO_LEAK };

struct verdict_looks {
	int64_t held, taken; /* at the last look */
	unsigned looks;      /* in a row at which something had been taken */
	unsigned grown;      /* in a row at which what is held had grown */
};

/* The state at the start, which is no look yet. */
void verdict_begin(struct verdict_looks *looks, int64_t held, int64_t taken);
enum verdict verdict_look(struct verdict_looks *looks, int64_t held, int64_t taken);

#endif
