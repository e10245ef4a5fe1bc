#include "probe/arch.h"

#include <errno.h>

#ifdef __aarch64__

#define DWARF_REG_COUNT 32 /* x0 ... x30 and sp; the pc has no DWARF number */
#define DWARF_REG_SP 31

const uintptr_t arch_red_zone_bytes = 0;

void arch_regs_from_ucontext_sigsafe(struct arch_regs *regs, const ucontext_t *context)
{
	for (int i = 0; i < DWARF_REG_SP; i++)
		regs->dwarf[i] = context->uc_mcontext.regs[i];
	regs->dwarf[DWARF_REG_SP] = context->uc_mcontext.sp;
	regs->sp = context->uc_mcontext.sp;
	regs->pc = context->uc_mcontext.pc;
}

static bool is_syscall(const uint32_t *code)
{
	return *code == 0xd4000001; /* svc #0 */
}

/* Bytes of the page that is being executed can be read; its neighbours may not be there. */
bool arch_in_system_call_sigsafe(const ucontext_t *context)
{
	const uint32_t *pc = (const uint32_t *)context->uc_mcontext.pc;

	/* To be restarted: the kernel has moved the pc back to the instruction. */
	if (is_syscall(pc))
		return true;
	return (uintptr_t)pc % ARCH_PAGE_BYTES >= sizeof(*pc) && is_syscall(pc - 1) &&
	       (int64_t)context->uc_mcontext.regs[0] == -EINTR;
}

bool arch_unwind_start(Dwfl_Thread *thread, const struct arch_regs *regs)
{
	Dwarf_Word words[DWARF_REG_COUNT];

	for (int i = 0; i < DWARF_REG_COUNT; i++)
		words[i] = regs->dwarf[i];
	if (!dwfl_thread_state_registers(thread, 0, DWARF_REG_COUNT, words))
		return false;
	dwfl_thread_state_register_pc(thread, regs->pc);
	return true;
}

#else
typedef int arch_aarch64_is_not_this_processor;
#endif
