#include "trace/calls.h"

#include <string.h>

#include "common/clock.h"
#include "probe/syscall.h"
#include "probe/wait.h"
#include "trace/writer.h"
#include "trace/stacks.h"
#include "trace/trace.h"

#define SYSCALL_WORDS 6

static bool is_wanted(void)
{
	return trace_is_on() && writer_is_wanted();
}

static void put_syscall(struct writer *writer, const struct probe_syscall *call)
{
	struct record record = {
		.time_ns = call->begin_ns, .kind = RECORD_SYSCALL, .word_count = SYSCALL_WORDS};
	size_t path_bytes;

	record.words[0] = (uint64_t)call->end_ns;
	record.words[1] = (uintptr_t)call->call;
	record.words[2] = (uint64_t)(int64_t)call->fd;
	record.words[3] = (uint64_t)call->size_bytes;
	record.words[4] = (uint64_t)call->result;
	record.words[5] = stacks_capture_sigsafe();
	if (call->path) {
		path_bytes = strnlen(call->path, TRACE_TEXT_MAX_BYTES - 1);
		memcpy(&record.words[SYSCALL_WORDS], call->path, path_bytes);
		record.word_count += path_bytes / sizeof(uint64_t) + 1;
	}
	writer_put(writer, &record);
}

static void on_syscall(const struct probe_syscall *call)
{
	struct writer *writer = writer_enter();

	if (!writer)
		return;
	if (writer_admits(writer))
		put_syscall(writer, call);
	writer_leave(writer);
}

static void put_wait(struct writer *writer, const struct probe_wait *wait, int64_t now_ns)
{
	struct record record = {.time_ns = wait->since_ns, .kind = RECORD_WAIT, .word_count = 3};

	record.words[0] = (uint64_t)now_ns;
	record.words[1] = (uintptr_t)wait->call;
	record.words[2] = (uintptr_t)wait->object;
	writer_put(writer, &record);
}

static void on_wait(const struct probe_wait *wait, int64_t now_ns)
{
	struct writer *writer;

	if (!is_wanted())
		return;
	writer = writer_enter();
	if (!writer)
		return;
	if (writer_admits(writer))
		put_wait(writer, wait, now_ns);
	writer_leave(writer);
}

static const struct probe_syscall_listener syscalls = {
	.is_wanted = is_wanted, .on_end = on_syscall};
static const struct probe_wait_listener waits = {.kinds = PROBE_WAITS_ALL, .on_wait_end = on_wait};

void calls_listen(void)
{
	probe_wait_subscribe(&waits);
	probe_syscall_listen(&syscalls);
}

void calls_unlisten(void)
{
	probe_syscall_listen(NULL);
	probe_wait_unsubscribe(&waits);
}
