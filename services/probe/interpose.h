/*
 * interpose: from a function that we define in libc's place to libc's own. Private to probe.
 *
 * Defined in the executable, such a function also takes the calls of shared libraries (-Wl,--wrap
 * would see only our own objects); calls inside libc stay unseen.
 *
 *     INTERPOSED(sem_wait)                                             at file scope
 *     __typeof__(&sem_wait) next = INTERPOSE_NEXT(sem_wait);           in our sem_wait()
 *
 * All are looked up before main(): a lookup takes the loader's lock, which later may be held by a
 * thread (in a library's constructor) that waits for ours.
 *
 * Thread:    MT-Safe; AS-Safe in main() and after.
 */
#ifndef SICKBAY_PROBE_INTERPOSE_H
#define SICKBAY_PROBE_INTERPOSE_H

/* Looks NAME up past the executable and keeps it in CACHE. Dies where there is none. */
void *interpose_find(void **cache, const char *name);

static inline void *interpose_next(void **cache, const char *name)
{
	void *next = __atomic_load_n(cache, __ATOMIC_RELAXED);

	return __builtin_expect(next != 0, 1) ? next : interpose_find(cache, name);
}

#define INTERPOSED(name)                                                \
	static void *next_##name;                                       \
	__attribute__((constructor)) static void find_next_##name(void) \
	{                                                               \
		(void)interpose_next(&next_##name, #name);              \
	}
#define INTERPOSE_NEXT(name) ((__typeof__(&(name)))interpose_next(&next_##name, #name))

#endif
