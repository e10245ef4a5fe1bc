#include "probe/unwind.h"

#include <dwarf.h>
#include <string.h>
#include <unistd.h>

#include "probe/modules.h"
#include "probe/thread.h"
#include "probe/unwind_memo.h"

#define ONLY_TID 1 /* libdw asks for threads by number; the one copy at hand is number 1 */

/* The copy libdw's callbacks read from; guarded by the modules lock. */
static const struct stack_copy *current;

struct walk {
	uintptr_t *pcs;
	size_t count, max_count;
};

static pid_t on_next_thread(Dwfl *dwfl, void *dwfl_arg, void **thread_arg)
{
	(void)dwfl;
	(void)dwfl_arg;
	(void)thread_arg;
	return 0;
}

static bool on_get_thread(Dwfl *dwfl, pid_t tid, void *dwfl_arg, void **thread_arg)
{
	(void)dwfl;
	(void)dwfl_arg;
	*thread_arg = NULL;
	return tid == ONLY_TID;
}

static bool on_memory_read(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *word, void *dwfl_arg)
{
	(void)dwfl;
	(void)dwfl_arg;
	if (addr < current->start || current->size_bytes < sizeof(*word) ||
		addr - current->start > current->size_bytes - sizeof(*word))
		return false;
	memcpy(word, (const uint8_t *)current->words + (addr - current->start), sizeof(*word));
	return true;
}

static bool on_initial_registers(Dwfl_Thread *thread, void *thread_arg)
{
	(void)thread_arg;
	return arch_unwind_start(thread, &current->regs);
}

static const Dwfl_Thread_Callbacks callbacks = {
	.next_thread = on_next_thread,
	.get_thread = on_get_thread,
	.memory_read = on_memory_read,
	.set_initial_registers = on_initial_registers,
};

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	struct walk *walk = arg;
	Dwarf_Addr pc;
	bool exact;

	if (!dwfl_frame_pc(frame, &pc, &exact) || pc == 0)
		return DWARF_CB_ABORT;
	walk->pcs[walk->count++] = exact ? pc : pc - 1;
	return walk->count < walk->max_count ? DWARF_CB_OK : DWARF_CB_ABORT;
}

static size_t walk_locked(Dwfl *dwfl, uintptr_t *pcs, size_t max_count)
{
	struct walk walk = {.pcs = pcs, .max_count = max_count};

	if (dwfl_pid(dwfl) < 0 && !dwfl_attach_state(dwfl, NULL, getpid(), &callbacks, NULL))
		return 0;
	dwfl_getthread_frames(dwfl, ONLY_TID, on_frame, &walk);
	return walk.count;
}

static size_t walk_anew(Dwfl *dwfl, const struct stack_copy *copy, uintptr_t *pcs, size_t max_count)
{
	unsigned generation = modules_generation();
	size_t count;

	current = copy;
	count = walk_locked(dwfl, pcs, max_count);
	/* A walk ends where a library begins that was loaded since the last look: look again, once. */
	if (count < max_count && !modules_find(count ? pcs[count - 1] : copy->regs.pc) &&
		modules_generation() != generation)
		count = walk_locked(dwfl, pcs, max_count);
	current = NULL;
	return count;
}

size_t unwind_walk(const struct stack_copy *copy, uintptr_t *pcs, size_t max_count)
{
	size_t count = 0;
	Dwfl *dwfl;

	if (max_count == 0)
		return 0;
	probe_observe_begin();
	dwfl = modules_lock();
	if (dwfl) {
		uint64_t key = unwind_memo_key(copy);

		count = unwind_memo_find(key, pcs, max_count);
		if (count == 0) {
			count = walk_anew(dwfl, copy, pcs, max_count);
			if (count < max_count)
				unwind_memo_add(key, pcs, count);
		}
	}
	modules_unlock();
	probe_observe_end();
	if (count == 0) {
		pcs[0] = copy->regs.pc;
		count = 1;
	}
	return count;
}
