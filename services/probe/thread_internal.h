/* thread_internal: how entries come into the list of thread.h. Private to probe. */
#ifndef SICKBAY_PROBE_THREAD_INTERNAL_H
#define SICKBAY_PROBE_THREAD_INTERNAL_H

#include "probe/thread.h"

/* probe_thread_self() for those who cannot afford a call. */
extern __thread struct probe_thread *thread_self
	__attribute__((visibility("hidden"), tls_model("local-exec")));
/* What the calling thread does is nobody's business: it observes, or is not in the list. AS-Safe. */
bool thread_observes(void);

/*
 * The creator announces THREAD, which gets its number; then it is either born, in the new thread,
 * or dropped, where libc refused it. The list owns it from its birth on.
 */
void thread_announce(struct probe_thread *thread);
void thread_born(struct probe_thread *thread);
void thread_drop(struct probe_thread *thread);
/* The creator of thread NUMBER is known now; it may have ended already. */
void thread_set_creator(uint64_t number, const struct depot_stack *stack);

/* In the main thread, before there are others: mutex.c looks at libc. */
void mutex_init(void);

/* A dump that waits for THREAD's answer will get none: it ends. List locked (portion.c). */
void dump_thread_ends(struct probe_thread *thread);

#endif
