/* Step 2: every request burns CPU. */
#include <stdint.h>

#include "app/fault.h"
#include "common/clock.h"
#include "trace/trace.h"

#define BURN_NS (5 * CLOCK_NS_PER_SEC)
#define ROUNDS_PER_LOOK 20000 /* some 20 µs between two looks at the clock */

static int eat_cpu(struct fault_call *call)
{
	int64_t end_ns = clock_monotonic_ns() + BURN_NS;
	volatile double result = 1;

	TRACE_FUNCTION();
	if (fault_is_fixed(call))
		return 0;
	/* FAULT: five seconds of arithmetic that nobody needs */
	while (clock_monotonic_ns() < end_ns && !fault_cancelled(call))
		for (int i = 0; i < ROUNDS_PER_LOOK; i++)
			result = result * 1.0000001 + 0.5;
	return 0;
}

const struct fault fault_cpu = {
	.name = "cpu",
	.does = "burns CPU for 5 seconds",
	.may_block = true,
	.serve = eat_cpu,
};
