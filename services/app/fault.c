#include "app/fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "app/call.h"

#define REASON_BYTES 512

const char *fault_upstream_url;

bool fault_is_fixed(const struct fault_call *call)
{
	return call->turn.fixed;
}

bool fault_cancelled(const struct fault_call *call)
{
	return step_released(&call->turn) ||
	       (call->client_left && call->client_left(call->context));
}

/* Kept a frame of its own: the log's stack begins below it. */
__attribute__((noinline)) int fault_fail(struct fault_call *call, int err, const char *format, ...)
{
	char reason[REASON_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	if (call->on_fail)
		call->on_fail(call->context, err, reason);
	return err;
}
