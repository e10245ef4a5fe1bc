#include "diag/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/nofile.h"
#include "diag/profile.h"
#include "diag/stack_text.h"
#include "probe/thread.h"

#define VIEWS_MIN 64
#define UNTRACKED "untracked"

static const char *const kinds[PROBE_FD_KINDS] = {
	[PROBE_FD_FILE] = "file",
	[PROBE_FD_DIRECTORY] = "directory",
	[PROBE_FD_PIPE] = "pipe",
	[PROBE_FD_SOCKET] = "socket",
	[PROBE_FD_LISTENER] = "listener",
	[PROBE_FD_CONNECTION] = "connection",
	[PROBE_FD_ACCEPTED] = "connection",
	[PROBE_FD_SOCKETPAIR] = "socketpair",
	[PROBE_FD_EPOLL] = "epoll",
	[PROBE_FD_EVENTFD] = "eventfd",
	[PROBE_FD_TIMERFD] = "timerfd",
	[PROBE_FD_SIGNALFD] = "signalfd",
	[PROBE_FD_INOTIFY] = "inotify",
	[PROBE_FD_MEMFD] = "memfd",
	[PROBE_FD_OTHER] = "other",
};

static const char *kind_of(const struct fd_view *view)
{
	return view->tracked ? kinds[view->opened.kind] : UNTRACKED;
}

/* ---- taking ---- */

struct taking {
	struct fd_snapshot *snapshot;
	size_t capacity;
	int64_t since_ns;
};

static void add_view(struct taking *taking, const struct fd_view *view)
{
	struct fd_snapshot *snapshot = taking->snapshot;

	if (snapshot->view_count == taking->capacity) {
		taking->capacity *= 2;
		snapshot = xrealloc(snapshot, 1,
			sizeof(*snapshot) + taking->capacity * sizeof(snapshot->views[0]));
		taking->snapshot = snapshot;
	}
	snapshot->views[snapshot->view_count++] = *view;
	snapshot->untracked_count += !view->tracked;
}

static bool has_peer(int fd)
{
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);

	return getpeername(fd, (struct sockaddr *)&address, &bytes) == 0;
}

static bool is_connection(const struct probe_fd *opened)
{
	return opened->kind == PROBE_FD_CONNECTION || opened->kind == PROBE_FD_ACCEPTED;
}

static bool is_wanted(const struct taking *taking, const struct fd_view *view)
{
	bool connections = taking->snapshot->scope == FD_CONNECTIONS;

	if (view->tracked)
		return !view->opened.observer && view->opened.opened_ns >= taking->since_ns &&
		       (!connections || is_connection(&view->opened));
	/* It may have been closed since it was listed. */
	return taking->since_ns == 0 && fcntl(view->number, F_GETFD) >= 0 &&
	       (!connections || has_peer(view->number));
}

static void visit(int fd, void *context)
{
	struct taking *taking = context;
	struct fd_view view = {.number = fd};

	view.tracked = probe_fd_read(fd, &view.opened);
	if (is_wanted(taking, &view))
		add_view(taking, &view);
}

int fd_snapshot_take(enum fd_scope scope, int64_t since_ns, struct fd_snapshot **snapshot)
{
	struct taking taking = {.capacity = VIEWS_MIN, .since_ns = since_ns};
	int err;

	probe_observe_begin();
	probe_fd_flush();
	taking.snapshot = xcalloc(
		1, sizeof(**snapshot) + VIEWS_MIN * sizeof(taking.snapshot->views[0]));
	taking.snapshot->scope = scope;
	taking.snapshot->time_ns = clock_realtime_ns();
	taking.snapshot->monotonic_ns = clock_monotonic_ns();
	err = nofile_for_each(visit, &taking);
	if (err)
		free(taking.snapshot);
	else
		*snapshot = taking.snapshot;
	probe_observe_end();
	return err;
}

/* ---- what is known of one ---- */

struct stack {
	size_t pc_count;
	const uintptr_t *pcs;
};

static struct stack stack_of(const struct fd_view *view)
{
	if (!view->tracked)
		return (struct stack){0, NULL};
	if (view->opened.stack)
		return (struct stack){view->opened.stack->pc_count, view->opened.stack->pcs};
	return (struct stack){1, &view->opened.pc};
}

static int64_t age_ns(const struct fd_snapshot *snapshot, const struct fd_view *view)
{
	int64_t age = snapshot->monotonic_ns - view->opened.opened_ns;

	return age > 0 ? age : 0; /* it was opened while the snapshot was taken */
}

static void print_untracked(const struct fd_snapshot *snapshot, struct strbuf *out)
{
	strbuf_printf(out,
		"%zu untracked: inherited, or opened where no call is seen; their stacks are not "
		"known",
		snapshot->untracked_count);
}

/* ---- profile.proto ---- */

int fd_encode(const struct fd_snapshot *snapshot, int64_t duration_ns, struct strbuf *out)
{
	struct strbuf comment = STRBUF_INIT;
	struct profile *profile;
	const int64_t one = 1;
	int err;

	probe_observe_begin();
	profile = profile_create(&(struct profile_config){
		.values = {{"open", "count"}},
		.value_count = 1,
		.period_type = {"open", "count"},
		.period = 1,
	});
	profile_set_time(profile, snapshot->time_ns - duration_ns, duration_ns);
	if (snapshot->untracked_count > 0) {
		print_untracked(snapshot, &comment);
		profile_set_comment(profile, comment.data);
	}
	for (size_t i = 0; i < snapshot->view_count; i++) {
		const struct fd_view *view = &snapshot->views[i];
		struct stack stack = stack_of(view);
		const struct profile_label labels[] = {
			{.key = "kind", .text = kind_of(view)},
			{.key = "age",
				.number = age_ns(snapshot, view) / CLOCK_NS_PER_SEC,
				.unit = "seconds"},
		};

		profile_add_sample(
			profile, stack.pcs, stack.pc_count, &one, labels, view->tracked ? 2 : 1);
	}
	err = profile_encode(profile, out);
	profile_free(profile);
	strbuf_free(&comment);
	probe_observe_end();
	return err;
}

/* ---- groups ---- */

struct group {
	const struct fd_view *view; /* one of them */
	size_t count;
};

#define COMPARE(a, b)                              \
	do {                                       \
		if ((a) != (b))                    \
			return (a) < (b) ? -1 : 1; \
	} while (0)

static int by_opener(const void *a, const void *b)
{
	const struct fd_view *x = ((const struct group *)a)->view;
	const struct fd_view *y = ((const struct group *)b)->view;

	COMPARE(x->tracked, y->tracked);
	COMPARE((uintptr_t)x->opened.stack, (uintptr_t)y->opened.stack);
	COMPARE(x->opened.pc, y->opened.pc);
	COMPARE(x->opened.kind, y->opened.kind);
	return 0;
}

static int by_count(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	COMPARE(y->count, x->count);
	return by_opener(a, b);
}

/* Sorts; then each begins a group, or goes into the one before. Returns how many there are. */
static size_t group_views(const struct fd_snapshot *snapshot, struct group *groups)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->view_count; i++)
		groups[i] = (struct group){&snapshot->views[i], 1};
	qsort(groups, snapshot->view_count, sizeof(groups[0]), by_opener);
	for (size_t i = 0; i < snapshot->view_count; i++)
		if (count > 0 && by_opener(&groups[count - 1], &groups[i]) == 0)
			groups[count - 1].count++;
		else
			groups[count++] = groups[i];
	qsort(groups, count, sizeof(groups[0]), by_count);
	return count;
}

void fd_print_groups(const struct fd_snapshot *snapshot, struct strbuf *out)
{
	struct group *groups;
	size_t count;

	probe_observe_begin();
	groups = xcalloc(snapshot->view_count + 1, sizeof(*groups));
	count = group_views(snapshot, groups);
	strbuf_printf(out, "%s profile: total %zu\n",
		snapshot->scope == FD_CONNECTIONS ? "connections" : "fd", snapshot->view_count);
	for (size_t i = 0; i < count; i++) {
		struct stack stack = stack_of(groups[i].view);

		strbuf_printf(out, "%zu @", groups[i].count);
		if (stack.pc_count == 0) {
			/* Readers of this text refuse all of it for a line without an address. */
			strbuf_puts(out, " 0x0\n#\t0x0\t(");
			print_untracked(snapshot, out);
			strbuf_puts(out, ")\n\n");
			continue;
		}
		stack_text_addresses(out, stack.pcs, stack.pc_count);
		strbuf_printf(out, "# labels: {\"kind\":\"%s\"}\n", kind_of(groups[i].view));
		stack_text_comments(out, stack.pcs, stack.pc_count);
		strbuf_puts(out, "\n");
	}
	free(groups);
	probe_observe_end();
}

/* ---- every descriptor ---- */

/* Names are the program's: they may hold anything, and must not look like lines of ours. */
static void print_target(struct strbuf *out, int fd)
{
	char path[40], target[PATH_MAX];
	ssize_t len_bytes;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len_bytes = readlink(path, target, sizeof(target));
	if (len_bytes < 0) {
		strbuf_puts(out, "closed meanwhile\n");
		return;
	}
	strbuf_puts(out, "\"");
	strbuf_json_escape(out, target, (size_t)len_bytes);
	strbuf_puts(out, "\"\n");
}

static void print_view(
	struct strbuf *out, const struct fd_snapshot *snapshot, const struct fd_view *view)
{
	struct stack stack = stack_of(view);

	strbuf_printf(out, "fd %d [%s", view->number, kind_of(view));
	if (view->tracked) {
		strbuf_puts(out, ", ");
		stack_text_duration(out, age_ns(snapshot, view));
	}
	strbuf_puts(out, "]: ");
	print_target(out, view->number);
	if (view->tracked)
		strbuf_printf(out, "opened by thread %d\n", (int)view->opened.tid);
	stack_text_frames(out, stack.pcs, stack.pc_count);
	strbuf_puts(out, "\n");
}

void fd_print_each(const struct fd_snapshot *snapshot, struct strbuf *out)
{
	probe_observe_begin();
	for (size_t i = 0; i < snapshot->view_count; i++)
		print_view(out, snapshot, &snapshot->views[i]);
	probe_observe_end();
}
