/*
 * arch: what depends on the processor: where a signal's register set, or an anchor, keeps what an
 * unwinder starts from, and what a system call looks like. Private to probe.
 *
 * Shape:     registers in DWARF numbering, as many as the psABI's unwinding tables refer to. One
 *            file per architecture implements this header; each is empty elsewhere, so that all are
 *            always compiled.
 * Thread:    arch_regs_from_ucontext_sigsafe() and arch_in_system_call_sigsafe() are AS-Safe;
 *            arch_unwind_start() belongs under the modules lock.
 * Source:    the System V psABI of x86-64 (fig. 3.36) and "DWARF for the Arm 64-bit Architecture".
 */
#ifndef SICKBAY_PROBE_ARCH_H
#define SICKBAY_PROBE_ARCH_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "probe/anchor.h"

#define ARCH_REGS_MAX 32
#define ARCH_PAGE_BYTES 4096U /* the smallest there is */

struct arch_regs {
	uintptr_t dwarf[ARCH_REGS_MAX];
	uintptr_t pc, sp;
};

/* Registers that a call does not preserve become 0. */
void arch_regs_from_anchor(struct arch_regs *regs, const struct anchor *anchor);

/* Bytes below the stack pointer that a leaf function may use. */
extern const uintptr_t arch_red_zone_bytes;

void arch_regs_from_ucontext_sigsafe(struct arch_regs *regs, const ucontext_t *context);
/* Whether a signal interrupted a system call, which will be restarted or fail with EINTR. */
bool arch_in_system_call_sigsafe(const ucontext_t *context);
/* Hands the registers to libdw. Returns false where libdw refuses them. */
bool arch_unwind_start(Dwfl_Thread *thread, const struct arch_regs *regs);

#endif
