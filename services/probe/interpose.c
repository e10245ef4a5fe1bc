#include "probe/interpose.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

void *interpose_find(void **cache, const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);

	if (!next) {
		fprintf(stderr, "probe: no library has %s\n", name);
		abort();
	}
	__atomic_store_n(cache, next, __ATOMIC_RELAXED);
	return next;
}
