#include "probe/symbolize.h"

#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "common/alloc.h"
#include "common/hash_index.h"
#include "probe/elf_names.h"
#include "probe/inlines.h"
#include "probe/modules.h"
#include "probe/source_path.h"
#include "probe/thread.h"

#define INLINE_DEPTH_MAX 32
#define NAME_BYTES 512

/*
 * Everything below is guarded by the modules lock. Strings, modules and symbols are handed out for
 * good.
 */
static struct hash_index string_index;
static const char **strings;
static size_t string_count;

static struct probe_module **modules;
static size_t module_count;

static struct hash_index symbol_index;
static const struct probe_symbol *symbols[PROBE_SYMBOL_CACHE_MAX];
static size_t symbol_count, refused_count;
static size_t guest_count; /* places of the cache that probe_symbolize_guest() has taken */

static bool string_equal(const void *context, size_t entry, const void *key)
{
	(void)context;
	return strcmp(strings[entry], key) == 0;
}

/* A few thousand names and paths serve all addresses. */
static const char *intern(const char *text)
{
	uint64_t hash = hash_bytes(HASH_SEED, text, strlen(text));
	size_t entry = hash_index_find(&string_index, hash, string_equal, NULL, text);

	if (entry != HASH_INDEX_NONE)
		return strings[entry];
	if ((string_count & (string_count - 1)) == 0)
		strings = xrealloc(strings, string_count ? string_count * 2 : 1, sizeof(*strings));
	strings[string_count] = xstrdup(text);
	hash_index_add(&string_index, hash, string_count);
	return strings[string_count++];
}

static const char *intern_build_id(Dwfl_Module *module)
{
	char hex[NAME_BYTES] = "";
	const unsigned char *bits;
	GElf_Addr bits_addr;
	int len = dwfl_module_build_id(module, &bits, &bits_addr);

	for (int i = 0; i < len && 2 * i + 3 <= (int)sizeof(hex); i++)
		snprintf(hex + 2 * i, 3, "%02x", bits[i]);
	return intern(hex);
}

/* The executable segment; the whole module where the file does not tell. */
static void find_text(Dwfl_Module *module, struct probe_module *described)
{
	GElf_Addr bias;
	Elf *elf = dwfl_module_getelf(module, &bias);
	size_t count;

	described->text_start = described->start;
	described->text_end = described->end;
	if (!elf || elf_getphdrnum(elf, &count) != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		GElf_Xword page_mask;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD ||
			!(header.p_flags & PF_X) || header.p_align == 0)
			continue;
		page_mask = -header.p_align;
		described->text_start = bias + (header.p_vaddr & page_mask);
		described->text_end = bias +
				      ((header.p_vaddr + header.p_memsz + ~page_mask) & page_mask);
		described->text_offset = header.p_offset & page_mask;
		return;
	}
}

/*
 * The lasting description of a module of libdw's. One that was unloaded and is back at the same
 * place, with the same build id, is the same: so are the symbols known of it.
 */
static const struct probe_module *describe(Dwfl_Module *module)
{
	struct probe_module *known;
	void **userdata;
	Dwarf_Addr start, end;
	const char *path = dwfl_module_info(
		module, &userdata, &start, &end, NULL, NULL, NULL, NULL);
	const char *build_id;

	known = *userdata;
	if (known)
		return known;
	path = intern(path);
	build_id = intern_build_id(module);
	for (size_t i = 0; i < module_count; i++) {
		known = modules[i];
		if (known->path == path && known->build_id == build_id && *build_id &&
			known->start == start && known->end == end)
			return *userdata = known;
	}
	known = xmalloc(sizeof(*known));
	*known = (struct probe_module){
		.path = path,
		.build_id = build_id,
		.start = start,
		.end = end,
	};
	find_text(module, known);
	modules = xrealloc(modules, module_count + 1, sizeof(*modules));
	modules[module_count++] = known;
	return *userdata = known;
}

struct draft {
	struct inline_frame frames[INLINE_DEPTH_MAX];
	size_t frame_count;
	struct inline_chain chain;
	char offset_name[NAME_BYTES];
};

static void draft_from_module(Dwfl_Module *module, uintptr_t pc,
	const struct probe_module *described, struct draft *draft)
{
	const char *base = strrchr(described->path, '/');
	struct inline_frame *outermost;

	draft->frame_count = inlines_find(
		module, pc, draft->frames, INLINE_DEPTH_MAX, &draft->chain);
	if (draft->frame_count == 0) {
		draft->frame_count = 1;
		draft->frames[0].function = elf_names_find(
			module, pc, &draft->chain.function_start);
	}
	outermost = &draft->frames[draft->frame_count - 1];
	/*
	 * libc's own name for read() is "__libc_read": the one that programs call it by says more.
	 */
	if (outermost->function && outermost->function[0] == '_')
		outermost->function = elf_names_prefer_public(
			module, draft->chain.function_start, outermost->function);
	snprintf(draft->offset_name, sizeof(draft->offset_name), "%s+0x%lx",
		base ? base + 1 : described->path, pc - described->start);
}

static const struct probe_symbol *symbol_from_draft(
	uintptr_t pc, const struct probe_module *module, const struct draft *draft)
{
	struct probe_symbol *symbol = xmalloc(
		sizeof(*symbol) + draft->frame_count * sizeof(symbol->frames[0]));
	char path[SOURCE_PATH_BYTES];

	symbol->pc = pc;
	symbol->function_start = draft->chain.function_start;
	symbol->module = module;
	symbol->frame_count = draft->frame_count;
	for (size_t i = 0; i < draft->frame_count; i++) {
		const struct inline_frame *from = &draft->frames[i];

		source_path_absolute(path, draft->chain.directory, from->file);
		symbol->frames[i] = (struct probe_frame){
			.function = intern(from->function ? from->function : draft->offset_name),
			.file = intern(path),
			.line = from->line,
			.function_line = from->function_line,
		};
	}
	return symbol;
}

struct symbol_key {
	uintptr_t pc;
	const struct probe_module *module;
};

static bool symbol_equal(const void *context, size_t entry, const void *key)
{
	const struct symbol_key *wanted = key;

	(void)context;
	return symbols[entry]->pc == wanted->pc && symbols[entry]->module == wanted->module;
}

/* What the cache has no room for. Shared by all such addresses, hence without their numbers. */
static const struct probe_symbol *no_room(void)
{
	static const struct probe_symbol unknown = {
		.frame_count = 1,
		.frames = {{.function = "[symbol cache full]", .file = ""}},
	};

	refused_count++;
	return &unknown;
}

/*
 * A symbol belongs to its address and to the module it was found in: where another library lies
 * there now, the old symbol is simply not found.
 */
static const struct probe_symbol *symbolize_locked(uintptr_t pc, bool guest)
{
	Dwfl_Module *module = modules_find(pc);
	struct symbol_key key = {.pc = pc, .module = module ? describe(module) : NULL};
	uint64_t hash = hash_u64(hash_u64(HASH_SEED, pc), (uintptr_t)key.module);
	size_t entry = hash_index_find(&symbol_index, hash, symbol_equal, NULL, &key);
	struct draft draft = {.frame_count = 1};

	if (entry != HASH_INDEX_NONE)
		return symbols[entry];
	if (symbol_count == PROBE_SYMBOL_CACHE_MAX ||
		(guest && guest_count == PROBE_SYMBOL_GUEST_MAX))
		return no_room();
	guest_count += guest;
	if (module)
		draft_from_module(module, pc, key.module, &draft);
	else
		snprintf(draft.offset_name, sizeof(draft.offset_name), "0x%lx", pc);
	symbols[symbol_count] = symbol_from_draft(pc, key.module, &draft);
	hash_index_add(&symbol_index, hash, symbol_count);
	return symbols[symbol_count++];
}

static const struct probe_symbol *symbolize(uintptr_t pc, bool guest)
{
	const struct probe_symbol *symbol;

	probe_observe_begin();
	modules_lock();
	symbol = symbolize_locked(pc, guest);
	modules_unlock();
	probe_observe_end();
	return symbol;
}

const struct probe_symbol *probe_symbolize(uintptr_t pc)
{
	return symbolize(pc, false);
}

const struct probe_symbol *probe_symbolize_guest(uintptr_t pc)
{
	return symbolize(pc, true);
}

const char *probe_variable_name(uintptr_t address, uintptr_t *offset)
{
	const char *name = NULL;
	Dwfl_Module *module;
	uintptr_t start;

	probe_observe_begin();
	modules_lock();
	module = modules_find(address);
	if (module)
		name = elf_names_find(module, address, &start);
	if (name) {
		*offset = address - start;
		name = intern(name);
	}
	modules_unlock();
	probe_observe_end();
	return name;
}

const struct probe_module *probe_main_module(void)
{
	const struct probe_module *described = NULL;
	Dwfl_Module *module;

	probe_observe_begin();
	modules_lock();
	/* The program's entry point, wherever this code itself was linked into. */
	module = modules_find(getauxval(AT_ENTRY));
	if (module)
		described = describe(module);
	modules_unlock();
	probe_observe_end();
	return described;
}

size_t probe_symbol_refused_count(void)
{
	size_t count;

	modules_lock();
	count = refused_count;
	modules_unlock();
	return count;
}
