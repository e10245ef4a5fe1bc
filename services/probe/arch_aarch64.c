#include "probe/arch.h"

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
