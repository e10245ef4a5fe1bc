#include "probe/module_files.h"

#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/nofile.h"

#define PROGRAM_LINK "/proc/self/exe"

/*
 * The descriptor that libdw got last for a file of debugging information. Guarded by the modules
 * lock.
 */
static int debuginfo_fd = -1;

const char *module_files_program_path(void)
{
	static char path[PATH_MAX];
	ssize_t len = readlink(PROGRAM_LINK, path, sizeof(path) - 1);

	path[len > 0 ? len : 0] = '\0';
	return path;
}

static Elf *elf_of_vdso(Dwfl_Module *module)
{
	Dwarf_Addr start, end;

	dwfl_module_info(module, NULL, &start, &end, NULL, NULL, NULL, NULL);
	return elf_memory((char *)(uintptr_t)start, end - start);
}

/*
 * An upgrade may have replaced the file since it was loaded: then it tells nothing about what is in
 * memory.
 */
static bool is_what_was_loaded(Dwfl_Module *module, Elf *elf)
{
	const unsigned char *loaded;
	const void *found;
	GElf_Addr loaded_addr;
	int loaded_len = dwfl_module_build_id(module, &loaded, &loaded_addr);

	if (loaded_len <= 0)
		return true;
	return dwelf_elf_gnu_build_id(elf, &found) == loaded_len &&
	       memcmp(found, loaded, (size_t)loaded_len) == 0;
}

/* Hands libdw the file as mapped memory: a descriptor it would keep. */
static int on_find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	char **file_name, Elf **elf)
{
	bool is_program = strcmp(name, module_files_program_path()) == 0;
	int fd;

	(void)userdata;
	(void)base;
	if (strcmp(name, MODULE_VDSO_NAME) == 0) {
		*elf = elf_of_vdso(module);
		return -1;
	}
	/* By its link the program is found even if it was replaced or deleted meanwhile. */
	fd = nofile_open(is_program ? PROGRAM_LINK : name, O_RDONLY);
	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	*elf = elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL);
	if (*elf && (elf_cntl(*elf, ELF_C_FDREAD) != 0 || !is_what_was_loaded(module, *elf))) {
		elf_end(*elf);
		*elf = NULL;
	}
	close(fd);
	if (*elf)
		*file_name = xstrdup(name);
	errno = 0;
	return -1;
}

/*
 * By build id first. libdw's standard search goes on to a debuginfod server when the environment
 * names one: it may only see modules without a build id, which it cannot ask for.
 */
static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	const char *file, const char *link, GElf_Word crc, char **found)
{
	const unsigned char *id;
	GElf_Addr id_addr;
	int fd = dwfl_build_id_find_debuginfo(module, userdata, name, base, file, link, crc, found);

	if (fd >= 0 || dwfl_module_build_id(module, &id, &id_addr) > 0)
		return fd;
	return dwfl_standard_find_debuginfo(module, userdata, name, base, file, link, crc, found);
}

static int on_find_debuginfo(Dwfl_Module *module, void **userdata, const char *name,
	Dwarf_Addr base, const char *file, const char *link, GElf_Word crc, char **found)
{
	int fd;

	errno = 0;
	fd = find_debuginfo(module, userdata, name, base, file, link, crc, found);
	if (fd < 0 && errno == EMFILE) {
		nofile_headroom_enter();
		fd = find_debuginfo(module, userdata, name, base, file, link, crc, found);
		nofile_headroom_leave();
	}
	debuginfo_fd = fd;
	return fd;
}

static char *default_debuginfo_path;

const Dwfl_Callbacks module_files_callbacks = {
	.find_elf = on_find_elf,
	.find_debuginfo = on_find_debuginfo,
	.debuginfo_path = &default_debuginfo_path,
};

void module_files_read_debuginfo(Dwfl_Module *module)
{
	Dwarf_Addr bias;
	Dwarf *dwarf;

	debuginfo_fd = -1;
	dwarf = dwfl_module_getdwarf(module, &bias);
	/* The file is mapped, what is left to read is read from there. */
	if (debuginfo_fd >= 0 && dwarf && elf_cntl(dwarf_getelf(dwarf), ELF_C_FDREAD) == 0)
		close(debuginfo_fd);
	debuginfo_fd = -1;
}
