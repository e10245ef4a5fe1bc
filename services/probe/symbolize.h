/*
 * symbolize: from an address to function, file and line, with the chain of inlined calls.
 *
 * Shape:     frames[0] is the innermost inlined function, frames[frame_count - 1] the function that
 *            has the code. An address nothing is known of has one frame, named "lib.so+0x1234"
 *            (module and offset), or "0x7f..." outside every module. Names of symbols in stripped
 *            libraries come from their dynamic symbol table only where the address lies within that
 *            symbol's size: a neighbour's name would be a lie.
 * Ownership: symbols and their strings live until the process ends; the cache is bounded
 *            (PROBE_SYMBOL_CACHE_MAX addresses), beyond it every further address is answered as
 *            unknown, and counted.
 * Thread:    MT-Safe; not AS-Safe; takes the lock of modules.h. The caller is taken for an observer
 *            (thread.h) meanwhile.
 * Source:    DWARF by libdw. An address is looked up as given: whoever unwinds subtracts 1 from
 *            return addresses.
 */
#ifndef SICKBAY_PROBE_SYMBOLIZE_H
#define SICKBAY_PROBE_SYMBOLIZE_H

#include <stddef.h>
#include <stdint.h>

#define PROBE_SYMBOL_CACHE_MAX 65536
#define PROBE_SYMBOL_GUEST_MAX 8192

struct probe_frame {
	const char *function;
	const char *file;  /* as the compiler was given it, made absolute; "" if unknown */
	int line;          /* 0 if unknown */
	int function_line; /* where the function begins; 0 if unknown */
};

struct probe_module {
	const char *path;     /* "/usr/local/bin/sickbay-app", "[vdso]" */
	const char *build_id; /* hexadecimal; "" if none */
	uintptr_t start, end; /* [start, end) in this process */
	/*
	 * What the kernel mapped executable: pprof's disassembler wants a mapping to begin there.
	 */
	uintptr_t text_start, text_end;
	uint64_t text_offset; /* of text_start within the file */
};

struct probe_symbol {
	uintptr_t pc;
	uintptr_t function_start;          /* 0 if unknown */
	const struct probe_module *module; /* NULL outside every module */
	size_t frame_count;                /* at least 1 */
	struct probe_frame frames[];
};

const struct probe_symbol *probe_symbolize(uintptr_t pc) __attribute__((returns_nonnull));
/*
 * The same for an address that somebody outside chose: all such addresses together get no more than
 * PROBE_SYMBOL_GUEST_MAX places of the cache, so that no request can fill it.
 */
const struct probe_symbol *probe_symbolize_guest(uintptr_t pc) __attribute__((returns_nonnull));
/*
 * The variable that has ADDRESS, and how far into it that is; NULL where no symbol says (memory from
 * malloc, stripped programs).
 */
const char *probe_variable_name(uintptr_t address, uintptr_t *offset);
/* The module of the program itself: mapping 1 of every profile. NULL if nothing could be read. */
const struct probe_module *probe_main_module(void);
/* How many answers were refused because the cache was full. */
size_t probe_symbol_refused_count(void);

#endif
