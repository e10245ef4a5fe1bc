#include "probe/thread.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "probe/thread_internal.h"

#define LISTENERS_MAX 8

/* Room for the frames that libc puts below (that is, above) a thread's first function. */
#define FIRST_FRAMES_BYTES 1024

/* Guards everything below and the links of every entry. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
/* A ring with one entry that is no thread: its next is the oldest, its previous the newest. */
static struct probe_thread list = {.next = &list, .previous = &list};
static uint64_t last_number;
static size_t born_count;
static const struct probe_thread_listener *listeners[LISTENERS_MAX];
static size_t listener_count;

__thread struct probe_thread *thread_self;
static __thread unsigned observe_depth;

static pthread_once_t end_key_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;

static void link_before(struct probe_thread *thread, struct probe_thread *next)
{
	thread->next = next;
	thread->previous = next->previous;
	thread->previous->next = thread;
	next->previous = thread;
}

static void unlink_thread(struct probe_thread *thread)
{
	thread->previous->next = thread->next;
	thread->next->previous = thread->previous;
}

static void find_stack(struct probe_thread *thread)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	pthread_attr_t attr;
	void *start;
	size_t size_bytes;

	if (pthread_getattr_np(thread->pthread, &attr) != 0)
		return;
	if (pthread_attr_getstack(&attr, &start, &size_bytes) == 0) {
		thread->stack_start = (uintptr_t)start;
		thread->stack_end = thread->stack_start + size_bytes;
	}
	pthread_attr_destroy(&attr);
	/*
	 * Above its first frame libc keeps the thread's own storage, kilobytes of it: none of the
	 * stack.
	 */
	if (gettid() != getpid() && thread->stack_end - here > FIRST_FRAMES_BYTES)
		thread->stack_end = here + FIRST_FRAMES_BYTES;
}

static void thread_end(void *data)
{
	struct probe_thread *thread = data;

	probe_observe_begin();
	pthread_mutex_lock(&list_lock);
	for (size_t i = 0; i < listener_count; i++)
		if (listeners[i]->on_end)
			listeners[i]->on_end(thread);
	dump_thread_ends(thread);
	unlink_thread(thread);
	born_count--;
	thread_self = NULL;
	pthread_mutex_unlock(&list_lock);
	free(thread);
	probe_observe_end();
}

static void make_end_key(void)
{
	if (pthread_key_create(&end_key, thread_end) != 0) {
		fputs("probe: no thread-specific key is left for the list of threads\n", stderr);
		abort();
	}
}

void thread_announce(struct probe_thread *thread)
{
	pthread_mutex_lock(&list_lock);
	thread->number = ++last_number;
	link_before(thread, &list);
	pthread_mutex_unlock(&list_lock);
}

void thread_drop(struct probe_thread *thread)
{
	pthread_mutex_lock(&list_lock);
	unlink_thread(thread);
	pthread_mutex_unlock(&list_lock);
}

void thread_born(struct probe_thread *thread)
{
	pid_t tid = gettid();

	probe_observe_begin();
	pthread_once(&end_key_once, make_end_key);
	thread->pthread = pthread_self();
	find_stack(thread);

	pthread_mutex_lock(&list_lock);
	thread->tid = tid;
	/* Under the lock: its creator may be about to name it (name.c). */
	(void)prctl(PR_GET_NAME, thread->name);
	thread->created_ns = clock_monotonic_ns();
	born_count++;
	thread_self = thread;
	for (size_t i = 0; i < listener_count; i++)
		if (listeners[i]->on_start)
			listeners[i]->on_start(thread);
	pthread_mutex_unlock(&list_lock);
	if (pthread_setspecific(end_key, thread) != 0) {
		fputs("probe: no memory to notice the end of a thread\n", stderr);
		abort();
	}
	probe_observe_end();
}

void thread_set_creator(uint64_t number, const struct depot_stack *stack)
{
	pthread_mutex_lock(&list_lock);
	for (struct probe_thread *thread = list.previous; thread != &list;
		thread = thread->previous)
		if (thread->number == number) {
			thread->created_by = stack;
			break;
		}
	pthread_mutex_unlock(&list_lock);
}

void probe_thread_init(void)
{
	struct probe_thread *thread;

	if (thread_self)
		return;
	probe_observe_begin();
	thread = xcalloc(1, sizeof(*thread));
	thread_announce(thread);
	thread_born(thread);
	mutex_init();
	probe_observe_end();
}

struct probe_thread *probe_thread_self(void)
{
	return thread_self;
}

void probe_thread_for_each(void (*visit)(struct probe_thread *thread, void *context), void *context)
{
	pthread_mutex_lock(&list_lock);
	for (struct probe_thread *thread = list.next; thread != &list; thread = thread->next)
		if (thread->tid != 0)
			visit(thread, context);
	pthread_mutex_unlock(&list_lock);
}

size_t probe_thread_count(void)
{
	size_t count;

	pthread_mutex_lock(&list_lock);
	count = born_count;
	pthread_mutex_unlock(&list_lock);
	return count;
}

void probe_thread_walk_begin(struct probe_thread_walk *walk)
{
	memset(walk, 0, sizeof(*walk));
	pthread_mutex_lock(&list_lock);
	walk->end_number = last_number;
	link_before(&walk->bookmark, list.next);
	pthread_mutex_unlock(&list_lock);
}

size_t probe_thread_walk_next(struct probe_thread_walk *walk, size_t max_count,
	void (*visit)(struct probe_thread *thread, void *context), void *context)
{
	struct probe_thread *thread;
	size_t count = 0;

	pthread_mutex_lock(&list_lock);
	thread = walk->bookmark.next;
	while (thread != &list && thread->number <= walk->end_number && count < max_count) {
		if (thread->tid != 0) {
			visit(thread, context);
			count++;
		}
		thread = thread->next;
	}
	unlink_thread(&walk->bookmark);
	link_before(&walk->bookmark, thread);
	pthread_mutex_unlock(&list_lock);
	return count;
}

void probe_thread_walk_end(struct probe_thread_walk *walk)
{
	pthread_mutex_lock(&list_lock);
	unlink_thread(&walk->bookmark);
	pthread_mutex_unlock(&list_lock);
}

void probe_thread_locked(void (*work)(void *context), void *context)
{
	pthread_mutex_lock(&list_lock);
	work(context);
	pthread_mutex_unlock(&list_lock);
}

void probe_thread_subscribe(const struct probe_thread_listener *listener)
{
	pthread_mutex_lock(&list_lock);
	assert(listener_count < LISTENERS_MAX);
	listeners[listener_count++] = listener;
	pthread_mutex_unlock(&list_lock);
}

void probe_thread_observe(void)
{
	observe_depth++;
	if (!thread_self)
		return;
	pthread_mutex_lock(&list_lock);
	thread_self->observer = true;
	pthread_mutex_unlock(&list_lock);
}

void probe_observe_begin(void)
{
	observe_depth++;
}

void probe_observe_end(void)
{
	observe_depth--;
}

bool probe_observing(void)
{
	return observe_depth > 0;
}

bool thread_observes(void)
{
	return !thread_self || thread_self->observer || observe_depth > 0;
}
