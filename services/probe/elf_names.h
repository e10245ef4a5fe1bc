/*
 * elf_names: function names from the symbol tables of an ELF file. Private to probe.
 *
 * Returns:   names, or NULL where no symbol has the address within its size: the nearest symbol
 *            before it, which libdw would offer as well, is a guess, and in a stripped library a
 *            wrong one.
 * Ownership: strings are libdw's: valid while the modules lock is held and nothing is reported
 *            anew.
 * Thread:    with the modules lock held; not AS-Safe.
 */
#ifndef SICKBAY_PROBE_ELF_NAMES_H
#define SICKBAY_PROBE_ELF_NAMES_H

#include <elfutils/libdwfl.h>
#include <stdint.h>

/*
 * The function, or variable, that has PC; *START is where it begins, and is left alone if there is
 * none.
 */
const char *elf_names_find(Dwfl_Module *module, uintptr_t pc, uintptr_t *start);
/*
 * Of NAME and the names the dynamic symbol table exports for the function at START, the one with
 * the fewest leading underscores: "malloc" for "__libc_malloc". Reads the whole table.
 */
const char *elf_names_prefer_public(Dwfl_Module *module, uintptr_t start, const char *name);

#endif
