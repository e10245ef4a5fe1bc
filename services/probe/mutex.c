/*
 * The interposers of mutexes and conditions. An uncontended lock must cost next to nothing: it is
 * tried first, and only who finds the mutex taken is timed and entered in the books. An unlock
 * looks at the mutex's own futex word, which says whether anybody may wait.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "probe/contended.h"
#include "probe/glibc_mutex.h"
#include "probe/interpose.h"
#include "probe/thread_internal.h"
#include "probe/wait_internal.h"

INTERPOSED(pthread_mutex_trylock)
INTERPOSED(pthread_mutex_lock)
INTERPOSED(pthread_mutex_timedlock)
INTERPOSED(pthread_mutex_clocklock)
INTERPOSED(pthread_mutex_unlock)
INTERPOSED(pthread_cond_wait)
INTERPOSED(pthread_cond_timedwait)
INTERPOSED(pthread_cond_clockwait)

/* On the way of an uncontended lock a call is a tenth of the whole. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define CALLER ((uintptr_t)__builtin_return_address(0) - 1)

/* False until libc was seen to do as glibc_mutex.h has it. */
static bool libc_is_as_known;

/* The place that is looked at first. */
static struct probe_locked_site *site_of(struct probe_thread *thread, const void *mutex)
{
	return &thread->locked[(uintptr_t)mutex / sizeof(long) % PROBE_LOCKED_SITES];
}

static bool site_is_of(struct probe_locked_site *site, const void *mutex)
{
	return atomic_load_explicit(&site->mutex, memory_order_acquire) == mutex;
}

/*
 * The thread's place for MUTEX, or the first that is free, from the mutex's own on: other mutexes
 * that it holds must not push this one out.
 */
static struct probe_locked_site *find_site(
	struct probe_thread *thread, const void *mutex, bool or_free)
{
	size_t start = (size_t)(site_of(thread, mutex) - thread->locked);

	for (size_t i = 0; i < PROBE_LOCKED_SITES; i++) {
		struct probe_locked_site *site = &thread->locked[(start + i) % PROBE_LOCKED_SITES];

		if (site_is_of(site, mutex) || (or_free && site_is_of(site, NULL)))
			return site;
	}
	return NULL;
}

/* Who finds the mutex finds its pc. */
ALWAYS_INLINE void fill_site(struct probe_locked_site *site, const void *mutex, uintptr_t pc)
{
	atomic_store_explicit(&site->pc, pc, memory_order_release);
	atomic_store_explicit(&site->mutex, mutex, memory_order_release);
}

__attribute__((noinline)) static void note_locked_elsewhere(
	struct probe_thread *thread, const void *mutex, uintptr_t pc)
{
	struct probe_locked_site *site = find_site(thread, mutex, true);

	if (!site) {
		/* It holds that many, or others unlock what it locks. */
		site = site_of(thread, mutex);
		atomic_store_explicit(&site->mutex, NULL, memory_order_relaxed);
	}
	fill_site(site, mutex, pc);
}

ALWAYS_INLINE void note_locked_by(struct probe_thread *thread, const void *mutex, uintptr_t pc)
{
	struct probe_locked_site *site = site_of(thread, mutex);

	if (__builtin_expect(site_is_of(site, NULL), 1))
		fill_site(site, mutex, pc);
	else
		note_locked_elsewhere(thread, mutex, pc);
}

static void note_locked(const pthread_mutex_t *mutex, uintptr_t pc)
{
	/* Of a recursive mutex's levels the first counts. */
	if (thread_self && mutex->__data.__count <= 1)
		note_locked_by(thread_self, mutex, pc);
}

__attribute__((noinline)) static void forget_locked_elsewhere(
	struct probe_thread *thread, const void *mutex)
{
	struct probe_locked_site *site = find_site(thread, mutex, false);

	if (site)
		atomic_store_explicit(&site->mutex, NULL, memory_order_relaxed);
}

/* The mutex is about to be unlocked for good, not by one level of several. */
ALWAYS_INLINE void forget_locked_by(struct probe_thread *thread, const pthread_mutex_t *mutex)
{
	struct probe_locked_site *site = site_of(thread, mutex);

	if (__builtin_expect(site_is_of(site, mutex), 1))
		atomic_store_explicit(&site->mutex, NULL, memory_order_relaxed);
	else
		forget_locked_elsewhere(thread, mutex);
}

/* Who gets a robust mutex from one that died holds it. */
static bool is_locked(int err)
{
	return err == 0 || err == EOWNERDEAD;
}

__attribute__((noinline)) static void note_contended_unlock(const void *mutex)
{
	int64_t waited_ns;
	unsigned waiter_count = contended_take(mutex, &waited_ns);

	if (waiter_count > 0)
		wait_tell_contended_unlock(waited_ns, waiter_count);
}

static void before_unlock(const pthread_mutex_t *mutex)
{
	if (__builtin_expect(glibc_mutex_may_be_awaited(mutex), 0))
		note_contended_unlock(mutex);
}

/* What observers wait is nobody's bill. */
static bool join(const pthread_mutex_t *mutex)
{
	return !probe_observing() && contended_join(mutex);
}

/* After a wait: the mutex is ours, or ERR says why not. */
static int waited(const pthread_mutex_t *mutex, bool joined, int err, uintptr_t pc)
{
	if (joined)
		contended_leave(mutex);
	if (is_locked(err))
		note_locked(mutex, pc);
	return err;
}

static int trylock_by_libc(pthread_mutex_t *mutex)
{
	__typeof__(&pthread_mutex_trylock) next = INTERPOSE_NEXT(pthread_mutex_trylock);

	return next(mutex);
}

/* What is not the plain case: a mutex of another kind, or one that is taken. */
__attribute__((noinline)) static int lock_by_libc(pthread_mutex_t *mutex, uintptr_t pc)
{
	static const struct probe_wait_call call = {
		"pthread_mutex_lock", "futex wait", PROBE_WAIT_MUTEX};
	__typeof__(&pthread_mutex_lock) next = INTERPOSE_NEXT(pthread_mutex_lock);
	int err = trylock_by_libc(mutex);

	if (err == EBUSY) {
		struct wait_frame frame WAIT_FRAME_END;
		bool joined = join(mutex);

		WAIT_FRAME_BEGIN(&frame, &call, mutex);
		return waited(mutex, joined, next(mutex), pc);
	}
	if (is_locked(err))
		note_locked(mutex, pc);
	return err;
}

__attribute__((noinline)) static int unlock_by_libc(pthread_mutex_t *mutex)
{
	__typeof__(&pthread_mutex_unlock) next = INTERPOSE_NEXT(pthread_mutex_unlock);

	before_unlock(mutex);
	if (thread_self && mutex->__data.__count <= 1)
		forget_locked_by(thread_self, mutex);
	return next(mutex);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	struct probe_thread *thread = thread_self;

	if (!thread || !libc_is_as_known || !glibc_mutex_lock_free(mutex, thread->tid))
		return lock_by_libc(mutex, CALLER);
	note_locked_by(thread, mutex, CALLER);
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	struct probe_thread *thread = thread_self;

	if (thread && libc_is_as_known && glibc_mutex_unlock_unawaited(mutex, thread->tid)) {
		forget_locked_by(thread, mutex);
		return 0;
	}
	return unlock_by_libc(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	int err = trylock_by_libc(mutex);

	if (is_locked(err))
		note_locked(mutex, CALLER);
	return err;
}

/* Two that differ in how they say when. */
#define MUTEX_UNTIL(name, parameters, arguments)                                              \
	int name parameters                                                                   \
	{                                                                                     \
		static const struct probe_wait_call call = {                                  \
			#name, "futex wait", PROBE_WAIT_MUTEX};                               \
		int err = trylock_by_libc(mutex);                                             \
                                                                                              \
		if (err == EBUSY) {                                                           \
			struct wait_frame frame WAIT_FRAME_END;                               \
			bool joined = join(mutex);                                            \
                                                                                              \
			WAIT_FRAME_BEGIN(&frame, &call, mutex);                               \
			return waited(mutex, joined, INTERPOSE_NEXT(name) arguments, CALLER); \
		}                                                                             \
		if (is_locked(err))                                                           \
			note_locked(mutex, CALLER);                                           \
		return err;                                                                   \
	}
MUTEX_UNTIL(pthread_mutex_timedlock,
	(pthread_mutex_t *restrict mutex, const struct timespec *restrict until), (mutex, until))
MUTEX_UNTIL(pthread_mutex_clocklock,
	(pthread_mutex_t *restrict mutex, clockid_t clock, const struct timespec *restrict until),
	(mutex, clock, until))

/* A condition's wait unlocks the mutex inside libc, unseen, and locks it again for who had it. */
#define COND_WAIT(name, parameters, arguments)                                                     \
	int name parameters                                                                        \
	{                                                                                          \
		static const struct probe_wait_call call = {#name, "futex wait", PROBE_WAIT_COND}; \
		struct wait_frame frame WAIT_FRAME_END;                                            \
                                                                                                   \
		before_unlock(mutex);                                                              \
		WAIT_FRAME_BEGIN(&frame, &call, cond);                                             \
		return INTERPOSE_NEXT(name) arguments;                                             \
	}
COND_WAIT(pthread_cond_wait, (pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex),
	(cond, mutex))
COND_WAIT(pthread_cond_timedwait,
	(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
		const struct timespec *restrict until),
	(cond, mutex, until))
COND_WAIT(pthread_cond_clockwait,
	(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, clockid_t clock,
		const struct timespec *restrict until),
	(cond, mutex, clock, until))

void mutex_init(void)
{
#ifndef __SANITIZE_THREAD__ /* which would not see a lock that is taken past libc */
	libc_is_as_known = glibc_mutex_is_as_known(
		INTERPOSE_NEXT(pthread_mutex_lock), INTERPOSE_NEXT(pthread_mutex_unlock), gettid());
#endif
}

struct question {
	pid_t tid;
	const void *mutex;
	uintptr_t pc;
};

static void answer(struct probe_thread *thread, void *context)
{
	struct question *question = context;
	struct probe_locked_site *site;

	if (thread->tid != question->tid)
		return;
	site = find_site(thread, question->mutex, false);
	if (site)
		question->pc = atomic_load_explicit(&site->pc, memory_order_acquire);
	/* It may have been given to another mutex meanwhile. */
	if (!site || !site_is_of(site, question->mutex))
		question->pc = 0;
}

uintptr_t probe_locked_at(pid_t tid, const void *mutex)
{
	struct question question = {.tid = tid, .mutex = mutex};

	probe_thread_for_each(answer, &question);
	return question.pc;
}
