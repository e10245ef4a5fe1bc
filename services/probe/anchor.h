/*
 * anchor: what a walk can start from in a frame that stands still: the registers that a call
 * preserves. Private to probe; implemented by the arch_* files.
 *
 * Shape:     words[0] is the stack pointer, words[1] the pc, the rest depends on the processor.
 * Thread:    a handful of stores; MT-Safe, AS-Safe.
 */
#ifndef SICKBAY_PROBE_ANCHOR_H
#define SICKBAY_PROBE_ANCHOR_H

#include <stdint.h>

#define ANCHOR_WORDS 16
#define ANCHOR_SP 0
#define ANCHOR_PC 1

struct anchor {
	uintptr_t words[ANCHOR_WORDS];
};

/* Of its caller's frame, which must not return before the walk is over. */
void anchor_take(struct anchor *anchor);

#endif
