#include "diag/threads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "diag/creator.h"
#include "diag/profile.h"
#include "diag/stack_text.h"
#include "probe/symbolize.h"
#include "probe/thread.h"

#define LABEL_BYTES 256

/* ---- every thread ---- */

/* Names are the program's: they may hold anything, and must not look like lines of ours. */
static void print_name(struct strbuf *out, const struct thread_view *view)
{
	strbuf_printf(out, "thread %d \"", (int)view->tid);
	strbuf_json_escape(out, view->name, strlen(view->name));
	strbuf_puts(out, "\"");
}

static void print_head(struct strbuf *out, const struct thread_view *view)
{
	print_name(out, view);
	strbuf_printf(out, " [%s", view->state);
	if (view->waited_ns >= 0) {
		strbuf_puts(out, ", ");
		stack_text_duration(out, view->waited_ns);
	}
	strbuf_puts(out, "]:\n");
}

static void print_owner(
	struct strbuf *out, const struct thread_snapshot *snapshot, const struct thread_view *view)
{
	const struct thread_view *owner = thread_snapshot_find(snapshot, view->mutex_owner);
	const struct probe_frame *frame;

	strbuf_puts(out, ", held by ");
	if (owner)
		print_name(out, owner);
	else
		strbuf_printf(out, "thread %d", (int)view->mutex_owner);
	if (view->locked_at) {
		frame = &probe_symbolize(view->locked_at)->frames[0];
		strbuf_printf(out, ", which locked it in %s at %s:%d", frame->function, frame->file,
			frame->line);
	}
}

static void print_no_stack(struct strbuf *out, const struct thread_view *view)
{
	static const char *const reasons[] = {
		[PROBE_ANSWERED] = "it could not be walked",
		[PROBE_BLOCKS_SIGNAL] = "the thread blocks SIGURG, by which it is asked",
		[PROBE_SILENT] = "the thread did not answer in time",
		[PROBE_UNLISTED] = "the thread starts or ends, or was not made by pthread_create",
	};

	strbuf_printf(out, "(no stack: %s)\n", reasons[view->answer]);
}

/* A thousand threads have a dozen stacks between them: each text is made once. */
struct spelled {
	struct strbuf *stacks, *creators;
	size_t stack_count, creator_count;
	const void *object; /* the last one */
	struct strbuf object_text;
};

static const char *spell_object(struct spelled *spelled, const void *object)
{
	struct strbuf *out = &spelled->object_text;
	uintptr_t offset;
	const char *name;

	if (spelled->object == object)
		return out->data;
	spelled->object = object;
	out->len_bytes = 0;
	name = probe_variable_name((uintptr_t)object, &offset);
	if (name && offset > 0)
		strbuf_printf(out, "%s+%#lx (%p)", name, (unsigned long)offset, object);
	else if (name)
		strbuf_printf(out, "%s (%p)", name, object);
	else
		strbuf_printf(out, "at %p", object);
	return out->data;
}

/* "waits for mutex shared_state_lock (0x...), held by thread 17 "holder", which ..." */
static void print_wait(struct strbuf *out, struct spelled *spelled,
	const struct thread_snapshot *snapshot, const struct thread_view *view)
{
	static const char *const nouns[] = {
		[PROBE_WAIT_MUTEX] = "mutex",
		[PROBE_WAIT_COND] = "condition",
		[PROBE_WAIT_SEMAPHORE] = "semaphore",
	};

	if (!view->wait.call || !view->wait.object)
		return;
	strbuf_printf(out, "waits for %s %s", nouns[view->wait.call->kind],
		spell_object(spelled, view->wait.object));
	if (view->mutex_owner)
		print_owner(out, snapshot, view);
	strbuf_puts(out, "\n");
}

static const struct strbuf *spell_stack(
	struct spelled *spelled, const struct thread_snapshot *snapshot, size_t number)
{
	const struct thread_stack *stack = &snapshot->stacks[number];

	if (!spelled->stacks[number].data)
		stack_text_frames(&spelled->stacks[number], stack->pcs, stack->pc_count);
	return &spelled->stacks[number];
}

static const struct strbuf *spell_creator(struct spelled *spelled, const struct depot_stack *stack)
{
	static const struct strbuf empty = STRBUF_INIT;
	struct strbuf *text;

	while (spelled->creator_count <= stack->number) {
		size_t count = spelled->creator_count ? 2 * spelled->creator_count : 64;

		spelled->creators = xrealloc(spelled->creators, count, sizeof(empty));
		for (size_t i = spelled->creator_count; i < count; i++)
			spelled->creators[i] = empty;
		spelled->creator_count = count;
	}
	text = &spelled->creators[stack->number];
	if (!text->data)
		stack_text_frames(text, stack->pcs, stack->pc_count);
	return text;
}

static void print_creator(
	struct strbuf *out, struct spelled *spelled, const struct thread_view *view)
{
	const struct strbuf *text;

	if (!view->created_by_pc)
		return;
	strbuf_puts(out, "created by ");
	if (view->created_by) {
		text = spell_creator(spelled, view->created_by);
		strbuf_add(out, text->data, text->len_bytes);
	} else {
		stack_text_frames(out, &view->created_by_pc, 1);
	}
}

static void print_thread(struct strbuf *out, struct spelled *spelled,
	const struct thread_snapshot *snapshot, const struct thread_view *view)
{
	const struct strbuf *text;

	print_head(out, view);
	print_wait(out, spelled, snapshot, view);
	if (snapshot->stacks[view->stack].pc_count > 0) {
		text = spell_stack(spelled, snapshot, view->stack);
		strbuf_add(out, text->data, text->len_bytes);
		if (view->truncated)
			strbuf_puts(out, "(the rest of the stack was cut)\n");
	} else {
		print_no_stack(out, view);
	}
	print_creator(out, spelled, view);
	strbuf_puts(out, "\n");
}

/* Births are numbered, and a snapshot has the oldest first: who is younger than its last was born later. */
static uint64_t last_number(const struct thread_snapshot *snapshot)
{
	return snapshot && snapshot->thread_count > 0
		       ? snapshot->threads[snapshot->thread_count - 1].number
		       : 0;
}

void threads_print_each(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out)
{
	struct spelled spelled = {
		.stacks = xcalloc(snapshot->stack_count + 1, sizeof(struct strbuf)),
		.stack_count = snapshot->stack_count,
	};
	uint64_t last_before = last_number(before);

	for (size_t i = 0; i < snapshot->thread_count; i++)
		if (!before || snapshot->threads[i].number > last_before)
			print_thread(out, &spelled, snapshot, &snapshot->threads[i]);
	for (size_t i = 0; i < spelled.stack_count; i++)
		strbuf_free(&spelled.stacks[i]);
	for (size_t i = 0; i < spelled.creator_count; i++)
		strbuf_free(&spelled.creators[i]);
	free(spelled.stacks);
	free(spelled.creators);
	strbuf_free(&spelled.object_text);
}

/* ---- profile.proto ---- */

static void spell_created_by(const struct thread_view *view, char text[LABEL_BYTES])
{
	const struct probe_frame *frame;

	text[0] = '\0';
	if (!view->created_by_pc)
		return;
	frame = &probe_symbolize(view->created_by_pc)->frames[0];
	snprintf(text, LABEL_BYTES, "%s:%d", frame->function, frame->line);
}

static struct profile *create_profile(const char *type)
{
	return profile_create(&(struct profile_config){
		.values = {{type, "count"}},
		.value_count = 1,
		.period_type = {type, "count"},
		.period = 1,
	});
}

static int encode_and_free(struct profile *profile, const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out)
{
	int err;

	if (before)
		profile_set_time(profile, before->time_ns, snapshot->time_ns - before->time_ns);
	else
		profile_set_time(profile, snapshot->time_ns, 0);
	err = profile_encode(profile, out);
	profile_free(profile);
	return err;
}

/* COUNT: what each of the threads counts. */
static void add_threads(
	struct profile *profile, const struct thread_snapshot *snapshot, int64_t count)
{
	char created_by[LABEL_BYTES];

	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct thread_view *view = &snapshot->threads[i];
		const struct thread_stack *stack = &snapshot->stacks[view->stack];
		const struct profile_label labels[] = {
			{.key = "state", .text = view->state},
			{.key = "created_by", .text = created_by},
		};

		spell_created_by(view, created_by);
		profile_add_sample(profile, stack->pcs, stack->pc_count, &count, labels,
			created_by[0] ? 2 : 1);
	}
}

int threads_encode(const struct thread_snapshot *before, const struct thread_snapshot *snapshot,
	struct strbuf *out)
{
	struct profile *profile = create_profile("threads");

	add_threads(profile, snapshot, 1);
	if (before)
		add_threads(profile, before, -1);
	return encode_and_free(profile, before, snapshot, out);
}

static void add_creators(
	struct profile *profile, const struct thread_snapshot *snapshot, int64_t count)
{
	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct thread_view *view = &snapshot->threads[i];
		struct thread_stack stack = creator_stack(view->created_by, &view->created_by_pc);

		profile_add_sample(profile, stack.pcs, stack.pc_count, &count, NULL, 0);
	}
}

int threads_encode_creators(const struct thread_snapshot *before,
	const struct thread_snapshot *snapshot, struct strbuf *out)
{
	struct profile *profile = create_profile("threadcreate");

	add_creators(profile, snapshot, 1);
	if (before)
		add_creators(profile, before, -1);
	return encode_and_free(profile, before, snapshot, out);
}
