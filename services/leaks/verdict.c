#include "leaks/verdict.h"

#define NOISE_SHARE 10

void verdict_begin(struct verdict_looks *looks, int64_t held, int64_t taken)
{
	*looks = (struct verdict_looks){.held = held, .taken = taken};
}

enum verdict verdict_look(struct verdict_looks *looks, int64_t held, int64_t taken)
{
	int64_t grew = held - looks->held, took = taken - looks->taken;

	looks->held = held;
	looks->taken = taken;
	looks->looks = took > 0 ? looks->looks + 1 : 0;
	looks->grown = took > 0 && grew * NOISE_SHARE > took ? looks->grown + 1 : 0;
	if (looks->looks < VERDICT_LOOKS)
		return VERDICT_NONE;
	return looks->grown >= VERDICT_LOOKS ? VERDICT_LEAK : VERDICT_NO_LEAK;
}
