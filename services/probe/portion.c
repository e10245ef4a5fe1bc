#include "probe/portion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/task.h"
#include "probe/thread_internal.h"
#include "probe/wait_internal.h"

/* How long a portion waits before it asks the kernel who blocks the signal. */
#define FIRST_LOOK_NS (5 * CLOCK_NS_PER_MS)

/* ---- in the threads ---- */

static void close_one_sigsafe(struct portion *portion)
{
	if (atomic_fetch_sub(&portion->open_count, 1) == 1)
		sem_post(&portion->closed);
}

static void note_wait(struct dump_slot *slot, const struct wait_seen *seen)
{
	slot->dumped.wait = seen->wait;
	slot->dumped.mutex_owner = seen->mutex_owner;
}

static void fill_sigsafe(struct dump_slot *slot, const ucontext_t *context)
{
	struct wait_seen seen;

	stack_copy_take_sigsafe(&slot->copy, context);
	slot->dumped.in_system_call = arch_in_system_call_sigsafe(context);
	wait_read_self_sigsafe(slot->copy.regs.sp, &seen);
	note_wait(slot, &seen);
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

int portion_set_handler(void)
{
	struct sigaction action = {
		.sa_sigaction = on_dump_signal,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
	};

	/*
	 * Every bit, while sigfillset() leaves out libc's own signals: a thread that is cancelled
	 * in the handler would never leave it, nor would its slot.
	 */
	memset(&action.sa_mask, 0xff, sizeof(action.sa_mask));
	if (sigaction(PORTION_SIGNAL, &action, NULL) != 0)
		return -errno;
	return 0;
}

/* ---- asking ---- */

struct portion *portion_create(void)
{
	struct portion *portion = mmap(
		NULL, sizeof(*portion), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (portion == MAP_FAILED)
		return NULL;
	sem_init(&portion->closed, 0, 0);
	return portion;
}

void portion_free(struct portion *portion)
{
	if (!portion)
		return;
	sem_destroy(&portion->closed);
	munmap(portion, sizeof(*portion));
}

void portion_open(struct portion *portion)
{
	portion->slot_count = 0;
	atomic_store(&portion->open_count, 1);
}

void portion_close_asking(struct portion *portion)
{
	close_one_sigsafe(portion);
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
	struct wait_seen seen;

	if (!wait_read(slot->thread, &slot->copy, &seen))
		return false;
	note_wait(slot, &seen);
	slot->dumped.in_system_call = true;
	atomic_store(&slot->state, SLOT_ANSWERED);
	return true;
}

/* It is read where it stands, if it can be: that costs it nothing. */
void portion_ask(struct portion *portion, struct probe_thread *thread)
{
	struct dump_slot *slot = &portion->slots[portion->slot_count];

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
	(void)syscall(SYS_tgkill, getpid(), thread->tid, PORTION_SIGNAL);
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
		if (state == SLOT_ASKED && probe_task_blocks(slot->dumped.tid, PORTION_SIGNAL))
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

bool portion_collect(struct portion *portion, int64_t *patience_ns)
{
	int64_t start_ns = clock_monotonic_ns();
	bool closed = wait_until_closed(portion, start_ns + FIRST_LOOK_NS);

	if (closed)
		return true;
	if (look_for_blockers(portion))
		closed = wait_until_closed(portion, start_ns + FIRST_LOOK_NS + *patience_ns);
	if (!closed) {
		probe_thread_locked(withdraw, portion);
		closed = wait_until_closed(portion, clock_monotonic_ns() + FIRST_LOOK_NS);
	}
	*patience_ns -= clock_monotonic_ns() - start_ns;
	if (*patience_ns < 0)
		*patience_ns = 0;
	return closed;
}

bool portion_is_closed(struct portion *portion)
{
	return sem_trywait(&portion->closed) == 0;
}
