/* The names of threads, by interposing both doors that lead to the kernel's. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "probe/interpose.h"
#include "probe/thread_internal.h"

INTERPOSED(pthread_setname_np)
INTERPOSED(prctl)

struct naming {
	pthread_t pthread;
	const char *name;
};

static void rename_if_it(struct probe_thread *thread, void *context)
{
	const struct naming *naming = context;

	if (pthread_equal(thread->pthread, naming->pthread))
		snprintf(thread->name, sizeof(thread->name), "%s", naming->name);
}

static void rename_self(void *context)
{
	rename_if_it(thread_self, context);
}

static void note_name(pthread_t pthread, const char *name)
{
	struct naming naming = {pthread, name};

	probe_observe_begin();
	if (thread_self && pthread_equal(pthread, pthread_self()))
		probe_thread_locked(rename_self, &naming);
	else
		probe_thread_for_each(rename_if_it, &naming);
	probe_observe_end();
}

int pthread_setname_np(pthread_t pthread, const char *name)
{
	__typeof__(&pthread_setname_np) next = INTERPOSE_NEXT(pthread_setname_np);
	int err = next(pthread, name);

	if (!err)
		note_name(pthread, name);
	return err;
}

/* Takes four more, as the system call does; how many mean anything depends on OPTION. */
int prctl(int option, ...)
{
	__typeof__(&prctl) next = INTERPOSE_NEXT(prctl);
	unsigned long a, b, c, d;
	va_list rest;
	int answer;

	va_start(rest, option);
	a = va_arg(rest, unsigned long);
	b = va_arg(rest, unsigned long);
	c = va_arg(rest, unsigned long);
	d = va_arg(rest, unsigned long);
	va_end(rest);
	answer = next(option, a, b, c, d);
	if (answer == 0 && option == PR_SET_NAME)
		note_name(pthread_self(), (const char *)a);
	return answer;
}
