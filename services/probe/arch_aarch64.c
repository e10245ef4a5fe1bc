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

/* x19 ... x29 are preserved by a call, and follow the pc in an anchor. */
#define PRESERVED_FIRST 19
#define PRESERVED_COUNT 11

/* Written out: a compiler's prologue would already have moved some of these. */
__asm__(".text\n"
	".globl anchor_take\n"
	".type anchor_take, %function\n"
	"anchor_take:\n"
	"	.cfi_startproc\n"
	"	mov x1, sp\n"
	"	stp x1, x30, [x0, 0]\n" /* x30: where it returns to */
	"	stp x19, x20, [x0, 16]\n"
	"	stp x21, x22, [x0, 32]\n"
	"	stp x23, x24, [x0, 48]\n"
	"	stp x25, x26, [x0, 64]\n"
	"	stp x27, x28, [x0, 80]\n"
	"	str x29, [x0, 96]\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size anchor_take, . - anchor_take\n");

void arch_regs_from_anchor(struct arch_regs *regs, const struct anchor *anchor)
{
	*regs = (struct arch_regs){
		.sp = anchor->words[ANCHOR_SP],
		.pc = anchor->words[ANCHOR_PC],
	};
	for (int i = 0; i < PRESERVED_COUNT; i++)
		regs->dwarf[PRESERVED_FIRST + i] = anchor->words[ANCHOR_PC + 1 + i];
	regs->dwarf[DWARF_REG_SP] = regs->sp;
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
