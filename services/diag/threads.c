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

void threads_print_each(const struct thread_snapshot *snapshot, struct strbuf *out)
{
	struct spelled spelled = {
		.stacks = xcalloc(snapshot->stack_count + 1, sizeof(struct strbuf)),
		.stack_count = snapshot->stack_count,
	};

	for (size_t i = 0; i < snapshot->thread_count; i++)
		print_thread(out, &spelled, snapshot, &snapshot->threads[i]);
	for (size_t i = 0; i < spelled.stack_count; i++)
		strbuf_free(&spelled.stacks[i]);
	for (size_t i = 0; i < spelled.creator_count; i++)
		strbuf_free(&spelled.creators[i]);
	free(spelled.stacks);
	free(spelled.creators);
	strbuf_free(&spelled.object_text);
}

/* ---- groups ---- */

struct group {
	size_t thread_count;
	size_t pc_count;
	const uintptr_t *pcs;
};

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->thread_count != y->thread_count)
		return x->thread_count < y->thread_count ? 1 : -1;
	return x->pcs < y->pcs ? -1 : x->pcs > y->pcs;
}

static void print_groups(struct strbuf *out, const char *title, size_t total_count,
	struct group *groups, size_t group_count)
{
	qsort(groups, group_count, sizeof(groups[0]), compare_groups);
	strbuf_printf(out, "%s profile: total %zu\n", title, total_count);
	for (size_t i = 0; i < group_count && groups[i].thread_count > 0; i++) {
		strbuf_printf(out, "%zu @", groups[i].thread_count);
		if (groups[i].pc_count == 0) {
			/* Readers of this text refuse all of it for a line without an address. */
			strbuf_puts(out, " 0x0\n#\t0x0\t(no stack; debug=2 says why)\n\n");
			continue;
		}
		stack_text_addresses(out, groups[i].pcs, groups[i].pc_count);
		stack_text_comments(out, groups[i].pcs, groups[i].pc_count);
		strbuf_puts(out, "\n");
	}
}

void threads_print_groups(const struct thread_snapshot *snapshot, struct strbuf *out)
{
	struct group *groups = xcalloc(snapshot->stack_count + 1, sizeof(*groups));

	for (size_t i = 0; i < snapshot->stack_count; i++) {
		groups[i].pc_count = snapshot->stacks[i].pc_count;
		groups[i].pcs = snapshot->stacks[i].pcs;
	}
	for (size_t i = 0; i < snapshot->thread_count; i++)
		groups[snapshot->threads[i].stack].thread_count++;
	print_groups(out, "thread", snapshot->thread_count, groups, snapshot->stack_count);
	free(groups);
}

static bool equal_stacks(const struct group *group, const struct thread_stack *stack)
{
	return group->pc_count == stack->pc_count &&
	       memcmp(group->pcs, stack->pcs, stack->pc_count * sizeof(stack->pcs[0])) == 0;
}

void threads_print_creators(const struct thread_snapshot *snapshot, struct strbuf *out)
{
	struct group *groups = xcalloc(snapshot->thread_count + 1, sizeof(*groups));
	uintptr_t *own_pcs = xcalloc(snapshot->thread_count + 1, sizeof(*own_pcs));
	size_t group_count = 0;

	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct thread_view *view = &snapshot->threads[i];
		struct thread_stack stack;
		size_t at = 0;

		own_pcs[i] = view->created_by_pc;
		stack = creator_stack(view->created_by, &own_pcs[i]);
		while (at < group_count && !equal_stacks(&groups[at], &stack))
			at++;
		if (at == group_count)
			groups[group_count++] = (struct group){0, stack.pc_count, stack.pcs};
		groups[at].thread_count++;
	}
	print_groups(out, "threadcreate", snapshot->thread_count, groups, group_count);
	free(groups);
	free(own_pcs);
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

static struct profile *create_profile(const struct thread_snapshot *snapshot, const char *type)
{
	struct profile *profile = profile_create(&(struct profile_config){
		.values = {{type, "count"}},
		.value_count = 1,
		.period_type = {type, "count"},
		.period = 1,
	});

	profile_set_time(profile, snapshot->time_ns, 0);
	return profile;
}

static int encode_and_free(struct profile *profile, struct strbuf *out)
{
	int err = profile_encode(profile, out);

	profile_free(profile);
	return err;
}

int threads_encode(const struct thread_snapshot *snapshot, struct strbuf *out)
{
	struct profile *profile = create_profile(snapshot, "threads");
	char created_by[LABEL_BYTES];
	const int64_t one = 1;

	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct thread_view *view = &snapshot->threads[i];
		const struct thread_stack *stack = &snapshot->stacks[view->stack];
		const struct profile_label labels[] = {
			{.key = "state", .text = view->state},
			{.key = "created_by", .text = created_by},
		};

		spell_created_by(view, created_by);
		profile_add_sample(
			profile, stack->pcs, stack->pc_count, &one, labels, created_by[0] ? 2 : 1);
	}
	return encode_and_free(profile, out);
}

int threads_encode_creators(const struct thread_snapshot *snapshot, struct strbuf *out)
{
	struct profile *profile = create_profile(snapshot, "threadcreate");
	const int64_t one = 1;
	uintptr_t pc;

	for (size_t i = 0; i < snapshot->thread_count; i++) {
		const struct thread_view *view = &snapshot->threads[i];
		struct thread_stack stack;

		pc = view->created_by_pc;
		stack = creator_stack(view->created_by, &pc);
		profile_add_sample(profile, stack.pcs, stack.pc_count, &one, NULL, 0);
	}
	return encode_and_free(profile, out);
}
