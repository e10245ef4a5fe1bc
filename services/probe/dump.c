#include "probe/dump.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "probe/stack_copy.h"
#include "probe/thread_internal.h"
#include "probe/unwind.h"
#include "probe/wait_internal.h"

#define DUMP_SIGNAL SIGURG
/* Portions that were left behind with a thread still writing into one of their slots. */
#define ABANDONED_MAX 4
/* How long a portion waits before it asks the kernel who blocks the signal. */
#define FIRST_LOOK_NS (5 * CLOCK_NS_PER_MS)
/* How long all portions of a dump together wait for threads that do not answer. */
#define PATIENCE_NS (300 * CLOCK_NS_PER_MS)

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

/* Guards everything below: one dump at a time. */
static pthread_mutex_t dump_lock = PTHREAD_MUTEX_INITIALIZER;
static struct portion *abandoned[ABANDONED_MAX];
static bool handler_is_set;

struct dump {
	enum probe_dump_scope scope;
	probe_on_dumped *on_dumped;
	void *context;
	struct portion *portion;
	int64_t patience_ns;
	pid_t *tids; /* of all threads seen */
	size_t tid_count, tid_cap;
};

/* ---- in the threads ---- */

static void close_one_sigsafe(struct portion *portion)
{
	if (atomic_fetch_sub(&portion->open_count, 1) == 1)
		sem_post(&portion->closed);
}

static void fill_sigsafe(struct dump_slot *slot, const ucontext_t *context)
{
	const struct wait_frame *frame = atomic_load(&thread_self->wait_frame);

	stack_copy_take_sigsafe(&slot->copy, context);
	slot->dumped.in_system_call = arch_in_system_call_sigsafe(context);
	if (frame)
		slot->dumped.wait = frame->wait;
}

static void on_dump_signal(int signal, siginfo_t *info, void *context)
{
	int error = errno;
	struct dump_slot *slot;

	(void)signal;
	(void)info;
	if (!thread_self)
		return;
	slot = atomic_exchange(&thread_self->dump_slot, NULL);
	if (!slot)
		return; /* too late: it was withdrawn */
	atomic_store(&slot->state, SLOT_WRITING);
	fill_sigsafe(slot, context);
	atomic_store(&slot->state, SLOT_ANSWERED);
	close_one_sigsafe(slot->portion);
	errno = error;
}

void dump_thread_ends(struct probe_thread *thread)
{
	struct dump_slot *slot = atomic_exchange(&thread->dump_slot, NULL);

	if (!slot)
		return;
	atomic_store(&slot->state, SLOT_ENDED);
	close_one_sigsafe(slot->portion);
}

/* ---- asking ---- */

static void remember_tid(struct dump *dump, pid_t tid)
{
	if (dump->tid_count == dump->tid_cap) {
		dump->tid_cap = dump->tid_cap ? 2 * dump->tid_cap : 1024;
		dump->tids = xrealloc(dump->tids, dump->tid_cap, sizeof(dump->tids[0]));
	}
	dump->tids[dump->tid_count++] = tid;
}

static void answer_myself(struct dump_slot *slot)
{
	ucontext_t here;

	(void)getcontext(&here);
	fill_sigsafe(slot, &here);
	slot->dumped.in_system_call = false;
	atomic_store(&slot->state, SLOT_ANSWERED);
	close_one_sigsafe(slot->portion);
}

static bool answer_for_waiting(struct dump_slot *slot)
{
	if (!wait_copy_stack(slot->thread, &slot->copy, &slot->dumped.wait))
		return false;
	slot->dumped.in_system_call = true;
	atomic_store(&slot->state, SLOT_ANSWERED);
	return true;
}

/*
 * With the list locked. Threads that wait in an interposed call are read where they stand, which
 * costs them nothing; only the others are sent a signal.
 */
static void ask(struct probe_thread *thread, void *context)
{
	struct dump *dump = context;
	struct portion *portion = dump->portion;
	struct dump_slot *slot = &portion->slots[portion->slot_count];

	remember_tid(dump, thread->tid);
	if (dump->scope == PROBE_DUMP_PROGRAM && thread->observer)
		return;
	portion->slot_count++;
	slot->portion = portion;
	slot->thread = thread;
	slot->dumped = (struct probe_dumped){
		.number = thread->number,
		.tid = thread->tid,
		.observer = thread->observer,
		.created_by_pc = thread->created_by_pc,
		.created_by = thread->created_by,
	};
	memcpy(slot->dumped.name, thread->name, sizeof(thread->name));
	if (answer_for_waiting(slot))
		return;
	atomic_store(&slot->state, SLOT_ASKED);
	atomic_fetch_add(&portion->open_count, 1);
	if (thread == thread_self) {
		answer_myself(slot);
		return;
	}
	atomic_store(&thread->dump_slot, slot);
	/* It cannot have ended: its entry is in the list. */
	(void)syscall(SYS_tgkill, getpid(), thread->tid, DUMP_SIGNAL);
}

/* ---- waiting, with a deadline ---- */

/* Returns whether the portion is closed, by UNTIL_NS at the latest. */
static bool wait_until_closed(struct portion *portion, int64_t until_ns)
{
	const struct timespec until = {
		.tv_sec = until_ns / CLOCK_NS_PER_SEC,
		.tv_nsec = until_ns % CLOCK_NS_PER_SEC,
	};

	while (sem_clockwait(&portion->closed, CLOCK_MONOTONIC, &until) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* Asks the kernel who will not answer. Returns whether others are still awaited. */
static bool look_for_blockers(struct portion *portion)
{
	bool awaited = false;

	for (size_t i = 0; i < portion->slot_count; i++) {
		struct dump_slot *slot = &portion->slots[i];
		enum slot_state state = atomic_load(&slot->state);

		if (state != SLOT_ASKED && state != SLOT_WRITING)
			continue;
		if (state == SLOT_ASKED && probe_task_blocks(slot->dumped.tid, DUMP_SIGNAL))
			slot->dumped.answer = PROBE_BLOCKS_SIGNAL;
		else
			awaited = true;
	}
	return awaited;
}

/* With the list locked: takes the slot back from threads that have not begun to write. */
static void withdraw(void *context)
{
	struct portion *portion = context;

	for (size_t i = 0; i < portion->slot_count; i++) {
		struct dump_slot *slot = &portion->slots[i];

		if (atomic_load(&slot->state) != SLOT_ASKED ||
			atomic_exchange(&slot->thread->dump_slot, NULL) != slot)
			continue;
		atomic_store(&slot->state, SLOT_WITHDRAWN);
		close_one_sigsafe(portion);
	}
}

/* Returns whether the portion is closed; if not, a thread is still writing to it. */
static bool collect(struct dump *dump)
{
	struct portion *portion = dump->portion;
	int64_t start_ns = clock_monotonic_ns();
	bool closed = wait_until_closed(portion, start_ns + FIRST_LOOK_NS);

	if (closed)
		return true;
	if (look_for_blockers(portion))
		closed = wait_until_closed(portion, start_ns + FIRST_LOOK_NS + dump->patience_ns);
	if (!closed) {
		probe_thread_locked(withdraw, portion);
		closed = wait_until_closed(portion, clock_monotonic_ns() + FIRST_LOOK_NS);
	}
	dump->patience_ns -= clock_monotonic_ns() - start_ns;
	if (dump->patience_ns < 0)
		dump->patience_ns = 0;
	return closed;
}

/* ---- handing on ---- */

/*
 * Of the mutex, if it is one. The thread may have got it meanwhile, and given it back to the system:
 * the kernel reads where we might fault.
 */
static pid_t owner_of(const struct probe_wait *wait)
{
	const pthread_mutex_t *mutex = wait->object;
	int owner = 0;
	struct iovec here = {&owner, sizeof(owner)};
	struct iovec there;

	if (!wait->call || wait->call->kind != PROBE_WAIT_MUTEX)
		return 0;
	there = (struct iovec){(void *)&mutex->__data.__owner, sizeof(owner)};
	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof(owner) ? owner : 0;
}

static void hand_on_unwound(struct dump *dump, struct dump_slot *slot)
{
	struct probe_dumped *dumped = &slot->dumped;

	dumped->answer = PROBE_ANSWERED;
	dumped->time_ns = slot->copy.time_ns;
	dumped->pc_count = unwind_walk(&slot->copy, dumped->pcs, PROBE_STACK_MAX);
	dumped->truncated = slot->copy.truncated || dumped->pc_count == PROBE_STACK_MAX;
	dumped->mutex_owner = owner_of(&dumped->wait);
	dump->on_dumped(dumped, dump->context);
}

static void hand_on_silent(struct dump *dump, struct dump_slot *slot, enum slot_state state)
{
	const struct probe_dumped *dumped = &slot->dumped;
	struct probe_dumped silent = {
		/* Nobody else writes to these. */
		.number = dumped->number,
		.tid = dumped->tid,
		.observer = dumped->observer,
		.created_by_pc = dumped->created_by_pc,
		.created_by = dumped->created_by,
		.answer = PROBE_SILENT,
	};

	memcpy(silent.name, dumped->name, sizeof(silent.name));
	if (state == SLOT_WITHDRAWN && dumped->answer == PROBE_BLOCKS_SIGNAL)
		silent.answer = PROBE_BLOCKS_SIGNAL;
	silent.time_ns = clock_monotonic_ns();
	dump->on_dumped(&silent, dump->context);
}

static void hand_on_portion(struct dump *dump)
{
	for (size_t i = 0; i < dump->portion->slot_count; i++) {
		struct dump_slot *slot = &dump->portion->slots[i];
		enum slot_state state = atomic_load(&slot->state);

		if (state == SLOT_ANSWERED)
			hand_on_unwound(dump, slot);
		else if (state != SLOT_ENDED)
			hand_on_silent(dump, slot, state);
	}
}

/* ---- portions ---- */

static struct portion *portion_create(void)
{
	struct portion *portion = mmap(
		NULL, sizeof(*portion), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (portion == MAP_FAILED)
		return NULL;
	sem_init(&portion->closed, 0, 0);
	return portion;
}

static void portion_free(struct portion *portion)
{
	if (!portion)
		return;
	sem_destroy(&portion->closed);
	munmap(portion, sizeof(*portion));
}

/* Frees those that are closed by now. Returns a place for another, or NULL if all are taken. */
static struct portion **sweep_abandoned(void)
{
	struct portion **place = NULL;

	for (size_t i = 0; i < ABANDONED_MAX; i++) {
		if (abandoned[i] && sem_trywait(&abandoned[i]->closed) == 0) {
			portion_free(abandoned[i]);
			abandoned[i] = NULL;
		}
		if (!abandoned[i])
			place = &abandoned[i];
	}
	return place;
}

/* Returns 1 if there may be more, 0 if that was all, or -errno. */
static int dump_portion(struct dump *dump, struct probe_thread_walk *walk)
{
	struct portion **place = sweep_abandoned();
	size_t seen_count;
	bool is_closed;

	if (!place)
		return -EAGAIN;
	if (!dump->portion)
		dump->portion = portion_create();
	if (!dump->portion)
		return -ENOMEM;
	dump->portion->slot_count = 0;
	atomic_store(&dump->portion->open_count, 1);
	seen_count = probe_thread_walk_next(walk, PROBE_DUMP_PORTION, ask, dump);
	close_one_sigsafe(dump->portion);
	is_closed = collect(dump);
	hand_on_portion(dump);
	if (!is_closed) {
		*place = dump->portion;
		dump->portion = NULL;
	}
	return seen_count > 0;
}

/* ---- threads that are in no list ---- */

static int compare_tids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

static void visit_listed(struct probe_thread *thread, void *context)
{
	remember_tid(context, thread->tid);
}

static void visit_task(pid_t tid, void *context)
{
	struct dump *dump = context;
	struct probe_dumped unlisted = {.tid = tid, .answer = PROBE_UNLISTED};

	if (!bsearch(&tid, dump->tids, dump->tid_count, sizeof(tid), compare_tids) &&
		probe_task_name(tid, unlisted.name) == 0)
		dump->on_dumped(&unlisted, dump->context);
}

/* The kernel's list is slow to read: only where it counts more than we have seen. */
static int dump_unlisted(struct dump *dump)
{
	if (probe_task_count() <= (int64_t)dump->tid_count)
		return 0;
	/* Those that were born meanwhile are in the list by now. */
	probe_thread_for_each(visit_listed, dump);
	qsort(dump->tids, dump->tid_count, sizeof(dump->tids[0]), compare_tids);
	return probe_task_for_each(visit_task, dump);
}

/* ---- the whole ---- */

static int set_handler_locked(void)
{
	struct sigaction action = {
		.sa_sigaction = on_dump_signal,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
	};

	if (handler_is_set)
		return 0;
	/*
	 * Every bit, while sigfillset() leaves out libc's own signals: a thread that is cancelled
	 * in the handler would never leave it, nor would its slot.
	 */
	memset(&action.sa_mask, 0xff, sizeof(action.sa_mask));
	if (sigaction(DUMP_SIGNAL, &action, NULL) != 0)
		return -errno;
	handler_is_set = true;
	return 0;
}

static int dump_locked(struct dump *dump)
{
	struct probe_thread_walk walk;
	int err = set_handler_locked();

	if (err)
		return err;
	probe_thread_walk_begin(&walk);
	do
		err = dump_portion(dump, &walk);
	while (err > 0);
	probe_thread_walk_end(&walk);
	if (err == 0 && dump->scope == PROBE_DUMP_ALL)
		err = dump_unlisted(dump);
	return err;
}

int probe_dump(enum probe_dump_scope scope, probe_on_dumped *on_dumped, void *context)
{
	struct dump dump = {
		.scope = scope,
		.on_dumped = on_dumped,
		.context = context,
		.patience_ns = PATIENCE_NS,
	};
	int err;

	probe_observe_begin();
	pthread_mutex_lock(&dump_lock);
	err = dump_locked(&dump);
	portion_free(dump.portion);
	free(dump.tids);
	pthread_mutex_unlock(&dump_lock);
	probe_observe_end();
	return err;
}
