#include "probe/arch.h"

#include <errno.h>

#ifdef __x86_64__

#define DWARF_REG_COUNT \
	17 /* rax ... r15 and the return address, which is where the unwinder takes the pc from */

const uintptr_t arch_red_zone_bytes = 128;

void arch_regs_from_ucontext_sigsafe(struct arch_regs *regs, const ucontext_t *context)
{
	static const int greg_of_dwarf[DWARF_REG_COUNT] = {
		REG_RAX,
		REG_RDX,
		REG_RCX,
		REG_RBX,
		REG_RSI,
		REG_RDI,
		REG_RBP,
		REG_RSP,
		REG_R8,
		REG_R9,
		REG_R10,
		REG_R11,
		REG_R12,
		REG_R13,
		REG_R14,
		REG_R15,
		REG_RIP,
	};

	for (int i = 0; i < DWARF_REG_COUNT; i++)
		regs->dwarf[i] = (uintptr_t)context->uc_mcontext.gregs[greg_of_dwarf[i]];
	regs->sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
	regs->pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

/* Written out: a compiler's prologue would already have moved some of these. */
__asm__(".text\n"
	".globl anchor_take\n"
	".type anchor_take, @function\n"
	"anchor_take:\n"
	"	.cfi_startproc\n"
	"	lea 8(%rsp), %rax\n" /* after the return */
	"	mov %rax, 0(%rdi)\n"
	"	mov (%rsp), %rax\n"
	"	mov %rax, 8(%rdi)\n"
	"	mov %rbx, 16(%rdi)\n"
	"	mov %rbp, 24(%rdi)\n"
	"	mov %r12, 32(%rdi)\n"
	"	mov %r13, 40(%rdi)\n"
	"	mov %r14, 48(%rdi)\n"
	"	mov %r15, 56(%rdi)\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size anchor_take, . - anchor_take\n");

void arch_regs_from_anchor(struct arch_regs *regs, const struct anchor *anchor)
{
	/* DWARF numbers, in the order of the words above. */
	static const int dwarf_of_word[] = {7, 16, 3, 6, 12, 13, 14, 15};

	*regs = (struct arch_regs){
		.sp = anchor->words[ANCHOR_SP],
		.pc = anchor->words[ANCHOR_PC],
	};
	for (size_t i = 0; i < sizeof(dwarf_of_word) / sizeof(dwarf_of_word[0]); i++)
		regs->dwarf[dwarf_of_word[i]] = anchor->words[i];
}

static bool is_syscall(const uint8_t *code)
{
	return code[0] == 0x0f && code[1] == 0x05;
}

/* Bytes of the page that is being executed can be read; its neighbours may not be there. */
bool arch_in_system_call_sigsafe(const ucontext_t *context)
{
	uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	uintptr_t offset = pc % ARCH_PAGE_BYTES;

	/* To be restarted: the kernel has moved the pc back to the instruction. */
	if (offset + 2 <= ARCH_PAGE_BYTES && is_syscall((const uint8_t *)pc))
		return true;
	return offset >= 2 && is_syscall((const uint8_t *)pc - 2) &&
	       context->uc_mcontext.gregs[REG_RAX] == -EINTR;
}

bool arch_unwind_start(Dwfl_Thread *thread, const struct arch_regs *regs)
{
	Dwarf_Word words[DWARF_REG_COUNT];

	for (int i = 0; i < DWARF_REG_COUNT; i++)
		words[i] = regs->dwarf[i];
	return dwfl_thread_state_registers(thread, 0, DWARF_REG_COUNT, words);
}

#else
typedef int arch_x86_64_is_not_this_processor;
#endif
