/*
 * portion: some threads asked for their stacks at once, and their answers. Private to probe.
 *
 *     portion_open();  portion_ask() each;  portion_close_asking();  portion_collect()
 *
 * A thread that waits in an interposed call is read where it stands; the others take the slot that
 * they are offered, in the handler of PORTION_SIGNAL, and write their answer into it.
 *
 * Ownership: the portion is its dumper's. But a thread that has begun to write into a slot may do so
 *            until portion_collect() or portion_is_closed() has returned true: before that, the
 *            portion must be neither freed nor used again.
 * Thread:    one dumper at a time per portion; portion_ask() with the list of threads locked.
 */
#ifndef SICKBAY_PROBE_PORTION_H
#define SICKBAY_PROBE_PORTION_H

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "probe/dump.h"
#include "probe/stack_copy.h"
#include "probe/thread.h"

#define PORTION_SIGNAL SIGURG

/* Who may write to a slot is in its state; the fields of the answer are that writer's. */
enum slot_state {
	SLOT_ASKED,   /* nobody: the thread has the slot's address, and may take it */
	SLOT_WRITING, /* the thread, in its handler */
	SLOT_ANSWERED,
	SLOT_ENDED, /* the thread ended first */
	SLOT_WITHDRAWN,
};

struct dump_slot {
	_Atomic(enum slot_state) state;
	struct portion *portion;
	struct probe_thread *thread; /* alive while the list is locked and the state is ASKED */
	struct probe_dumped dumped;  /* all but pcs, which come with unwinding */
	struct stack_copy copy;
};

struct portion {
	size_t slot_count;
	atomic_size_t
		open_count; /* asked, and neither answered nor ended; + 1 while still asking */
	/*
	 * Posted once, by whoever brings open_count to 0: who has taken that post knows that no
	 * thread will touch the portion any more.
	 */
	sem_t closed;
	struct dump_slot slots[PROBE_DUMP_PORTION];
};

/* Once. Returns 0 or -errno. */
int portion_set_handler(void) __attribute__((warn_unused_result));
/* NULL if there is no memory. */
struct portion *portion_create(void);
void portion_free(struct portion *portion);

void portion_open(struct portion *portion);
void portion_ask(struct portion *portion, struct probe_thread *thread);
void portion_close_asking(struct portion *portion);
/*
 * Waits for the answers, no longer than PATIENCE_NS, which it lessens, beyond a few ms. Takes back the
 * slots that nobody has taken by then. Returns whether the portion is closed: no thread will touch it
 * any more.
 */
bool portion_collect(struct portion *portion, int64_t *patience_ns);
/* The same, without waiting; true only once. */
bool portion_is_closed(struct portion *portion);

#endif
