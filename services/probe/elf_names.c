#include "probe/elf_names.h"

#include <gelf.h>
#include <stdbool.h>
#include <string.h>

const char *elf_names_find(Dwfl_Module *module, uintptr_t pc, uintptr_t *start)
{
	GElf_Off offset;
	GElf_Sym symbol;
	const char *name = dwfl_module_addrinfo(module, pc, &offset, &symbol, NULL, NULL, NULL);

	if (!name || offset >= symbol.st_size)
		return NULL;
	*start = pc - offset;
	return name;
}

static Elf_Scn *dynamic_symbols(Elf *elf, GElf_Shdr *header)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, header) && header->sh_type == SHT_DYNSYM)
			return section;
	return NULL;
}

/* Whether NAME is nicer than BEST: fewer underscores, then shorter. */
static bool is_nicer(const char *name, const char *best)
{
	size_t underscores = strspn(name, "_"), best_underscores = strspn(best, "_");

	if (underscores != best_underscores)
		return underscores < best_underscores;
	return strlen(name) < strlen(best);
}

const char *elf_names_prefer_public(Dwfl_Module *module, uintptr_t start, const char *name)
{
	GElf_Addr bias;
	GElf_Shdr header;
	Elf *elf = dwfl_module_getelf(module, &bias);
	Elf_Scn *section = elf ? dynamic_symbols(elf, &header) : NULL;
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;
	size_t count = data && header.sh_entsize ? header.sh_size / header.sh_entsize : 0;

	for (size_t i = 1; start && i < count; i++) {
		GElf_Sym symbol;
		const char *exported;

		if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_value + bias != start ||
			symbol.st_shndx == SHN_UNDEF)
			continue;
		exported = elf_strptr(elf, header.sh_link, symbol.st_name);
		if (exported && is_nicer(exported, name))
			name = exported;
	}
	return name;
}
