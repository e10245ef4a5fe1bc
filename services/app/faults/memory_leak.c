/* Step 3: every request appends to a buffer that nobody ever clears. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "app/fault.h"
#include "common/memory.h"
#include "common/random.h"
#include "trace/trace.h"

#define REQUEST_BYTES 10000000
#define PIECE_BYTES 32768
#define FIRST_CAPACITY_BYTES 65536

static pthread_mutex_t buffer_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of buffer */
static struct {
	char *data;
	size_t len_bytes, cap_bytes;
} buffer;

static int grow_buffer(size_t wanted_bytes)
{
	size_t cap_bytes = buffer.cap_bytes ? buffer.cap_bytes : FIRST_CAPACITY_BYTES;
	char *data;

	while (cap_bytes < wanted_bytes)
		cap_bytes *= 2;
	if (cap_bytes == buffer.cap_bytes)
		return 0;
	data = realloc(buffer.data, cap_bytes);
	if (!data)
		return -ENOMEM;
	buffer.data = data;
	buffer.cap_bytes = cap_bytes;
	return 0;
}

static int leak_memory(struct fault_call *call)
{
	size_t left_bytes = REQUEST_BYTES, cap_bytes;
	int err = 0;

	TRACE_FUNCTION();
	pthread_mutex_lock(&buffer_lock);
	while (left_bytes > 0 && !err && !fault_cancelled(call)) {
		size_t piece_bytes = left_bytes < PIECE_BYTES ? left_bytes : PIECE_BYTES;

		err = grow_buffer(buffer.len_bytes + piece_bytes);
		if (!err)
			err = random_fill(buffer.data + buffer.len_bytes, piece_bytes);
		if (!err)
			buffer.len_bytes += piece_bytes;
		left_bytes -= piece_bytes;
	}
	/* FAULT: only the fixed variant clears what it has used */
	if (fault_is_fixed(call))
		buffer.len_bytes = 0;
	cap_bytes = buffer.cap_bytes;
	pthread_mutex_unlock(&buffer_lock);
	return err ? fault_fail(call, err, "append to a buffer of %zu bytes", cap_bytes) : 0;
}

static void undo(void)
{
	free(buffer.data);
	memset(&buffer, 0, sizeof(buffer));
	memory_return_to_system();
}

const struct fault fault_memory_leak = {
	.name = "memory leak",
	.does = "keeps 10 MB more, for ever",
	.may_block = true,
	.serve = leak_memory,
	.undo = undo,
};
