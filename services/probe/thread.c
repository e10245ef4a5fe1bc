#include "probe/thread.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"

#define LISTENERS_MAX 8

/* Guards everything below and the links of every entry. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct probe_thread *list_head;
static size_t list_count;
static const struct probe_thread_listener *listeners[LISTENERS_MAX];
static size_t listener_count;

static __thread struct probe_thread *self;
static __thread unsigned observe_depth;

static pthread_once_t end_key_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;

typedef int pthread_create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

struct birth {
	void *(*routine)(void *);
	void *arg;
	uintptr_t created_by_pc;
	bool observer; /* a thread started by an observer's own work is one too */
};

static void find_stack(struct probe_thread *thread)
{
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
}

static void thread_end(void *data)
{
	struct probe_thread *thread = data;

	pthread_mutex_lock(&list_lock);
	for (size_t i = 0; i < listener_count; i++)
		if (listeners[i]->on_end)
			listeners[i]->on_end(thread);
	*thread->link = thread->next;
	if (thread->next)
		thread->next->link = thread->link;
	list_count--;
	self = NULL;
	pthread_mutex_unlock(&list_lock);
	free(thread);
}

static void make_end_key(void)
{
	if (pthread_key_create(&end_key, thread_end) != 0) {
		fputs("probe: no thread-specific key is left for the list of threads\n", stderr);
		abort();
	}
}

static void thread_begin(uintptr_t created_by_pc, bool observer)
{
	struct probe_thread *thread;

	probe_observe_begin();
	pthread_once(&end_key_once, make_end_key);
	thread = xcalloc(1, sizeof(*thread));
	thread->pthread = pthread_self();
	thread->tid = gettid();
	thread->created_by_pc = created_by_pc;
	thread->created_ns = clock_monotonic_ns();
	thread->observer = observer;
	find_stack(thread);

	pthread_mutex_lock(&list_lock);
	thread->next = list_head;
	thread->link = &list_head;
	if (list_head)
		list_head->link = &thread->next;
	list_head = thread;
	list_count++;
	self = thread;
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

/* Not static: this frame is at the bottom of every thread's stack and should say what it is. */
void *probe_thread_main(void *data);

void *probe_thread_main(void *data)
{
	struct birth birth = *(struct birth *)data;

	free(data);
	thread_begin(birth.created_by_pc, birth.observer);
	return birth.routine(birth.arg);
}

static pthread_create_fn *next_pthread_create(void)
{
	static pthread_create_fn *next;
	pthread_create_fn *found = __atomic_load_n(&next, __ATOMIC_RELAXED);

	if (!found) {
		found = (pthread_create_fn *)dlsym(RTLD_NEXT, "pthread_create");
		__atomic_store_n(&next, found, __ATOMIC_RELAXED);
	}
	return found;
}

/*
 * The interposer. Defined in the executable, it also takes the calls of shared libraries
 * (-Wl,--wrap would see only our own objects).
 */
int pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg)
{
	struct birth *birth;
	int err;

	probe_observe_begin();
	birth = malloc(sizeof(*birth));
	if (!birth) {
		probe_observe_end();
		return EAGAIN;
	}
	birth->routine = routine;
	birth->arg = arg;
	birth->created_by_pc = (uintptr_t)__builtin_return_address(0) - 1;
	birth->observer = self && self->observer;
	err = next_pthread_create()(thread, attr, probe_thread_main, birth);
	if (err)
		free(birth);
	probe_observe_end();
	return err;
}

void probe_thread_init(void)
{
	if (!self)
		thread_begin(0, false);
}

struct probe_thread *probe_thread_self(void)
{
	return self;
}

void probe_thread_for_each(void (*visit)(struct probe_thread *thread, void *context), void *context)
{
	pthread_mutex_lock(&list_lock);
	for (struct probe_thread *thread = list_head; thread; thread = thread->next)
		visit(thread, context);
	pthread_mutex_unlock(&list_lock);
}

size_t probe_thread_count(void)
{
	size_t count;

	pthread_mutex_lock(&list_lock);
	count = list_count;
	pthread_mutex_unlock(&list_lock);
	return count;
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
	if (!self)
		return;
	pthread_mutex_lock(&list_lock);
	self->observer = true;
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
