/*
 * inlines: what DWARF says about one address: the function and what was inlined into it there.
 * Private to probe.
 *
 * Shape:     frames innermost first; a frame's file and line are where its own code stands: of the
 *            instruction for the innermost, of the call for those around it.
 * Returns:   the number of frames, at most MAX_COUNT (the innermost ones); 0 where DWARF knows no
 *            function, and then frames[0] has at least the file and line (assembler), or is all
 *            zero.
 * Ownership: strings are libdw's: valid while the modules lock is held and nothing is reported
 *            anew.
 * Thread:    with the modules lock held; not AS-Safe.
 * Source:    DWARF 5, sections 3.3.8 (inlined subroutines) and 6.2 (lines).
 */
#ifndef SICKBAY_PROBE_INLINES_H
#define SICKBAY_PROBE_INLINES_H

#include <elfutils/libdwfl.h>
#include <stddef.h>
#include <stdint.h>

struct inline_frame {
	const char *function; /* C: the source's name; else the linker's, where there is one */
	const char *file;     /* relative to the unit's directory, or absolute; NULL if unknown */
	int line;
	int function_line;
};

struct inline_chain {
	const char *directory;    /* of the compilation unit; NULL if unknown */
	uintptr_t function_start; /* of the outermost function; 0 if unknown */
};

size_t inlines_find(Dwfl_Module *module, uintptr_t pc, struct inline_frame *frames,
	size_t max_count, struct inline_chain *chain);

#endif
