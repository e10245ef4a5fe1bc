/*
 * glibc_mutex: the uncontended path of glibc's plain mutex, as libc itself walks it, so that
 * interposing pthread_mutex_lock() costs no second call. Private to probe.
 *
 * The fields are part of glibc's binary interface (every program has them built in by
 * PTHREAD_MUTEX_INITIALIZER); what they mean is not, so glibc_mutex_is_as_known() has libc show it
 * before anything here is used. All that is not a plain, private, free mutex is left to libc.
 *
 * Thread:    MT-Safe and AS-Safe.
 * Source:    nptl/pthread_mutex_lock.c, pthread_mutex_unlock.c and sysdeps/nptl/lowlevellock.h of
 *            glibc: __lock is 0 free, 1 locked, 2 locked and perhaps awaited; __kind 0 is
 *            PTHREAD_MUTEX_TIMED_NP, the default.
 */
#ifndef SICKBAY_PROBE_GLIBC_MUTEX_H
#define SICKBAY_PROBE_GLIBC_MUTEX_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* Whether LOCK and UNLOCK, which are libc's, do what is written here. */
static inline bool glibc_mutex_is_as_known(
	int (*lock)(pthread_mutex_t *), int (*unlock)(pthread_mutex_t *), pid_t tid)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	bool known;

	if (mutex.__data.__kind != 0 || lock(&mutex) != 0)
		return false;
	known = mutex.__data.__lock == 1 && mutex.__data.__owner == tid &&
		mutex.__data.__nusers == 1 && mutex.__data.__kind == 0;
	return unlock(&mutex) == 0 && known && mutex.__data.__lock == 0 &&
	       mutex.__data.__owner == 0 && mutex.__data.__nusers == 0;
}

/* Locks MUTEX for thread TID, the caller, if it is free. False: nothing happened, ask libc. */
static inline bool glibc_mutex_lock_free(pthread_mutex_t *mutex, pid_t tid)
{
	int expected = 0;

	if (mutex->__data.__kind != 0 ||
		!__atomic_compare_exchange_n(&mutex->__data.__lock, &expected, 1, false,
			__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	mutex->__data.__owner = tid;
	mutex->__data.__nusers++;
	return true;
}

/* Unlocks MUTEX, which the caller holds, if nobody waits. False: nothing happened, ask libc. */
static inline bool glibc_mutex_unlock_unawaited(pthread_mutex_t *mutex, pid_t tid)
{
	int expected = 1;

	if (mutex->__data.__kind != 0)
		return false;
	mutex->__data.__owner = 0;
	mutex->__data.__nusers--;
	if (__atomic_compare_exchange_n(
		    &mutex->__data.__lock, &expected, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return true;
	mutex->__data.__owner = tid;
	mutex->__data.__nusers++;
	return false;
}

/* Whether anybody may wait for MUTEX, which the caller holds. */
static inline bool glibc_mutex_may_be_awaited(const pthread_mutex_t *mutex)
{
	return __atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) > 1;
}

#endif
