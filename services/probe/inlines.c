#include "probe/inlines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Newer compilers name these; libdw's header of today does not. */
#define LANGUAGE_C17 0x2c
#define LANGUAGE_C23 0x3e

struct position {
	const char *file;
	int line;
};

static bool is_function(Dwarf_Die *scope)
{
	int tag = dwarf_tag(scope);

	return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

static const char *string_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;

	return dwarf_attr_integrate(die, name, &attr) ? dwarf_formstring(&attr) : NULL;
}

static int number_of(Dwarf_Attribute *attr)
{
	Dwarf_Word number;

	return attr && dwarf_formudata(attr, &number) == 0 ? (int)number : 0;
}

/*
 * C's own name: the linker's may be an alias that no source spells. C++ and Rust repeat the plain
 * names.
 */
static const char *function_name(Dwarf_Die *unit, Dwarf_Die *scope)
{
	const char *name = NULL;

	switch (dwarf_srclang(unit)) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case LANGUAGE_C17:
	case LANGUAGE_C23:
		break;
	default:
		name = string_of(scope, DW_AT_linkage_name);
	}
	return name ? name : string_of(scope, DW_AT_name);
}

/* Where the function that SCOPE inlines was called from. */
static struct position call_position(Dwarf_Die *unit, Dwarf_Die *scope)
{
	struct position at = {NULL, 0};
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	size_t count;
	int file = number_of(dwarf_attr(scope, DW_AT_call_file, &attr));

	at.line = number_of(dwarf_attr(scope, DW_AT_call_line, &attr));
	if (dwarf_getsrcfiles(unit, &files, &count) == 0 && (size_t)file < count)
		at.file = dwarf_filesrc(files, (size_t)file, NULL, NULL);
	return at;
}

/*
 * The scopes around ADDRESS, from the innermost function outwards. dwarf_getscopes() continues an
 * inlined function with the places around its abstract definition, so the concrete one is asked
 * again for what really surrounds it.
 */
static int function_scopes(Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die **scopes)
{
	int count = dwarf_getscopes(unit, address, scopes);
	Dwarf_Die innermost;

	for (int i = 0; i < count; i++) {
		if (!is_function(&(*scopes)[i]))
			continue;
		innermost = (*scopes)[i];
		free(*scopes);
		*scopes = NULL;
		return dwarf_getscopes_die(&innermost, scopes);
	}
	return count > 0 ? count : 0;
}

static uintptr_t entry_of(Dwarf_Die *function, Dwarf_Addr bias)
{
	Dwarf_Addr base, entry, end;

	if (dwarf_entrypc(function, &entry) == 0)
		return entry + bias;
	/* In pieces (a cold part elsewhere): the first is the one that is called. */
	return dwarf_ranges(function, 0, &base, &entry, &end) > 0 ? entry + bias : 0;
}

static struct position line_position(Dwfl_Module *module, uintptr_t pc)
{
	struct position at = {NULL, 0};
	Dwfl_Line *line = dwfl_module_getsrc(module, pc);

	if (line)
		at.file = dwfl_lineinfo(line, NULL, &at.line, NULL, NULL, NULL);
	return at;
}

size_t inlines_find(Dwfl_Module *module, uintptr_t pc, struct inline_frame *frames,
	size_t max_count, struct inline_chain *chain)
{
	struct position at = line_position(module, pc);
	Dwarf_Attribute attr;
	Dwarf_Addr bias;
	Dwarf_Die *unit = dwfl_module_addrdie(module, pc, &bias);
	Dwarf_Die *scopes = NULL;
	size_t found = 0;
	int count;

	*chain = (struct inline_chain){0};
	frames[0] = (struct inline_frame){.file = at.file, .line = at.line};
	if (!unit)
		return 0;
	chain->directory = string_of(unit, DW_AT_comp_dir);
	count = function_scopes(unit, pc - bias, &scopes);
	for (int i = 0; i < count; i++) {
		Dwarf_Die *scope = &scopes[i];

		if (!is_function(scope))
			continue;
		if (found < max_count)
			frames[found++] = (struct inline_frame){
				.function = function_name(unit, scope),
				.file = at.file,
				.line = at.line,
				.function_line = number_of(
					dwarf_attr_integrate(scope, DW_AT_decl_line, &attr)),
			};
		if (dwarf_tag(scope) == DW_TAG_subprogram) {
			chain->function_start = entry_of(scope, bias);
			break;
		}
		at = call_position(unit, scope);
	}
	free(scopes);
	return found;
}
