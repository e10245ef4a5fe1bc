/* Step 4: every request allocates a large buffer and frees it: nothing is kept, all is churned. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "app/fault.h"
#include "common/memory.h"
#include "common/random.h"
#include "trace/trace.h"

#define BUFFER_BYTES 10000000

/* The fixed variant's: allocated once. */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static char *kept_buffer; /* guarded by kept_lock */

static int reuse_memory(struct fault_call *call)
{
	int err;

	pthread_mutex_lock(&kept_lock);
	if (!kept_buffer)
		kept_buffer = malloc(BUFFER_BYTES);
	err = kept_buffer ? random_fill(kept_buffer, BUFFER_BYTES) : -ENOMEM;
	pthread_mutex_unlock(&kept_lock);
	return err ? fault_fail(call, err, "fill a buffer of %d bytes", BUFFER_BYTES) : 0;
}

static int allocate_memory(struct fault_call *call)
{
	char *buffer;
	int err;

	TRACE_FUNCTION();
	if (fault_is_fixed(call))
		return reuse_memory(call);
	buffer = malloc(BUFFER_BYTES); /* FAULT: for every request anew */
	err = buffer ? random_fill(buffer, BUFFER_BYTES) : -ENOMEM;
	free(buffer);
	return err ? fault_fail(call, err, "fill a buffer of %d bytes", BUFFER_BYTES) : 0;
}

static void undo(void)
{
	free(kept_buffer);
	kept_buffer = NULL;
	memory_return_to_system();
}

const struct fault fault_memory_alloc = {
	.name = "memory alloc",
	.does = "allocates 10 MB and frees it",
	.may_block = true,
	.serve = allocate_memory,
	.undo = undo,
};
