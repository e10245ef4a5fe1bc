/* System calls and waits, which are told when they are over. */
#include "trace/reader_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "probe/symbolize.h"
#include "probe/syscall.h"
#include "probe/wait.h"
#include "trace/held_event.h"
#include "trace/stacks.h"

/* A slice that is known only when it is over. */
static void put_whole(struct reader *reader, struct held_event *begin, int64_t end_ns)
{
	struct encoder_event end = reader_event_at(reader, ENCODER_END, begin->event.track, end_ns);

	begin->is_held = true;
	held_event_put(begin, reader->encoder);
	encode_event(reader->encoder, &end);
}

/* The stack begins in probe; the program's part of it begins at who called FUNCTION. */
static void set_caller(
	struct encoder_event *event, const struct depot_stack *stack, const char *function)
{
	size_t first = 0;

	for (size_t i = 0; i < stack->pc_count && first == 0; i++) {
		const struct probe_symbol *symbol = probe_symbolize(stack->pcs[i]);

		if (strcmp(symbol->frames[symbol->frame_count - 1].function, function) == 0)
			first = i + 1;
	}
	event->pcs = stack->pcs + first;
	event->pc_count = stack->pc_count - first;
}

void reader_read_syscall(
	struct reader *reader, const struct writer *writer, const struct record *record)
{
	const struct probe_syscall_call *call = reader_pointer(record->words[1]);
	int fd = (int)(int64_t)record->words[2];
	int64_t size_bytes = (int64_t)record->words[3], result = (int64_t)record->words[4];
	const struct depot_stack *stack = stacks_of(record->words[5]);
	struct held_event begin = {
		reader_event_at(reader, ENCODER_BEGIN, writer->track, record->time_ns), true};

	begin.event.name = call->syscall;
	begin.event.category = "syscall";
	if (strcmp(call->function, call->syscall) != 0)
		held_event_add_text(&begin, "function", call->function);
	if (record->word_count > 6)
		held_event_add_text(&begin, "path", (const char *)&record->words[6]);
	if (fd >= 0)
		held_event_add_number(&begin, "fd", fd);
	if (size_bytes >= 0)
		held_event_add_number(&begin, "size", size_bytes);
	if (result < 0 && strerrorname_np((int)-result))
		held_event_add_text(&begin, "error", strerrorname_np((int)-result));
	else
		held_event_add_number(&begin, "result", result);
	if (stack)
		set_caller(&begin.event, stack, call->function);
	put_whole(reader, &begin, (int64_t)record->words[0]);
}

static struct held_event wait_event(const struct reader *reader, uint64_t track,
	const struct probe_wait_call *call, const void *object, int64_t since_ns)
{
	struct held_event begin = {reader_event_at(reader, ENCODER_BEGIN, track, since_ns), true};
	uintptr_t offset;
	const char *name = object ? probe_variable_name((uintptr_t)object, &offset) : NULL;

	begin.event.name = call->function;
	begin.event.category = "wait";
	if (name)
		held_event_add_text(&begin, "for", name);
	return begin;
}

void reader_read_wait(
	struct reader *reader, const struct writer *writer, const struct record *record)
{
	struct held_event begin = wait_event(reader, writer->track,
		reader_pointer(record->words[1]), reader_pointer(record->words[2]),
		record->time_ns);

	put_whole(reader, &begin, (int64_t)record->words[0]);
}

struct waiting {
	struct {
		pid_t tid;
		struct probe_wait wait;
	} * all;
	size_t count, cap;
};

static void see_waiting(pid_t tid, const struct probe_wait *wait, void *context)
{
	struct waiting *waiting = context;

	if (waiting->count == waiting->cap) {
		waiting->cap = waiting->cap ? 2 * waiting->cap : 64;
		waiting->all = xrealloc(waiting->all, waiting->cap, sizeof(*waiting->all));
	}
	waiting->all[waiting->count].tid = tid;
	waiting->all[waiting->count++].wait = *wait;
}

void reader_put_waiting(struct reader *reader)
{
	struct waiting waiting = {0};

	probe_wait_for_each(see_waiting, &waiting);
	for (size_t i = 0; i < waiting.count; i++) {
		const struct probe_wait *wait = &waiting.all[i].wait;
		uint64_t track = tracks_find(reader->tracks, waiting.all[i].tid);
		struct held_event begin;

		if (track == 0)
			continue;
		begin = wait_event(reader, track, wait->call, wait->object, wait->since_ns);
		held_event_put(&begin, reader->encoder);
	}
	free(waiting.all);
}
