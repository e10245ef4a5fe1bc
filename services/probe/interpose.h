/*
 * interpose: from a function that we define in libc's place to libc's own. Private to probe.
 *
 * Defined in the executable, such a function also takes the calls of shared libraries (-Wl,--wrap
 * would see only our own objects); calls inside libc stay unseen.
 *
 * Thread: MT-Safe; AS-Safe once the function was looked up.
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

#endif
