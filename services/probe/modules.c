#include "probe/modules.h"

#include <elfutils/libdw.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/nofile.h"
#include "probe/thread.h"

#define REPORT_INTERVAL_NS (100 * CLOCK_NS_PER_MS)

struct loader_counts {
	unsigned long long adds, subs;
};

/* A module that was there at start: the loader never unloads it. */
struct lasting_module {
	const char *name; /* libdw's; lives as long as the module */
	Dwarf_Addr start, end;
};

/* Guards everything below, and the session itself. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Dwfl *session;
static struct lasting_module *lasting;
static size_t lasting_count;
static struct loader_counts reported;
static int64_t reported_ns;
static unsigned generation;
static int debuginfo_fd = -1; /* that libdw got last */

static int on_first_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct loader_counts *counts = arg;

	(void)size;
	counts->adds = info->dlpi_adds;
	counts->subs = info->dlpi_subs;
	return 1;
}

static struct loader_counts loader_counts(void)
{
	struct loader_counts counts = {0};

	dl_iterate_phdr(on_first_object, &counts);
	return counts;
}

static int find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	char **file_name, Elf **elf)
{
	int fd = dwfl_linux_proc_find_elf(module, userdata, name, base, file_name, elf);

	if (fd >= 0 || *elf || errno != EMFILE)
		return fd;
	nofile_headroom_enter();
	fd = dwfl_linux_proc_find_elf(module, userdata, name, base, file_name, elf);
	nofile_headroom_leave();
	return fd;
}

/* Hands libdw the file as mapped memory: a descriptor it would keep for good, for everybody to see in lsof. */
static int on_find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
	char **file_name, Elf **elf)
{
	int fd = find_elf(module, userdata, name, base, file_name, elf);

	if (fd < 0 || *elf)
		return fd;
	*elf = elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL);
	if (!*elf || elf_cntl(*elf, ELF_C_FDREAD) != 0)
		return fd;
	close(fd);
	return -1;
}

/*
 * By build id first. libdw's standard search goes on to a debuginfod server when the environment names one: it may only
 * see modules without a build id, which it cannot ask for.
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

/* libdw's callback cannot give mapped memory here, so the descriptor is noted for close_debuginfo(). */
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

/* What was unloaded may be back at its old place with other contents: libdw would go on reading the old file. */
static void forget_unloadable(void)
{
	dwfl_report_begin(session);
	for (size_t i = 0; i < lasting_count; i++)
		dwfl_report_module(session, lasting[i].name, lasting[i].start, lasting[i].end);
	dwfl_report_end(session, NULL, NULL);
}

static int report_maps(void)
{
	int error;

	dwfl_report_begin(session);
	error = dwfl_linux_proc_report(session, getpid());
	if (error == EMFILE) {
		nofile_headroom_enter();
		error = dwfl_linux_proc_report(session, getpid());
		nofile_headroom_leave();
	}
	/* A report that failed half-way must not take away what is known to be there. */
	for (size_t i = 0; error && i < lasting_count; i++)
		dwfl_report_module(session, lasting[i].name, lasting[i].start, lasting[i].end);
	dwfl_report_end(session, NULL, NULL);
	return error;
}

static int report(struct loader_counts now)
{
	int error;

	if (now.subs != reported.subs)
		forget_unloadable();
	error = report_maps();
	generation++;
	reported_ns = clock_monotonic_ns();
	/* What failed is tried again after the interval. */
	if (!error)
		reported = now;
	return error;
}

/*
 * DWARF's file is mapped: what libdw keeps open of it is not needed. libdw closes its number when the module goes, so
 * that this is for lasting modules only.
 */
static void close_debuginfo(Dwarf *dwarf)
{
	if (debuginfo_fd >= 0 && dwarf && elf_cntl(dwarf_getelf(dwarf), ELF_C_FDREAD) == 0)
		close(debuginfo_fd);
	debuginfo_fd = -1;
}

/* Reads what lookups and unwinding need, which libdw would do at the first address of the module. */
static void warm(Dwfl_Module *module, Dwarf_Addr start)
{
	Dwarf_Addr bias;
	Dwarf *dwarf;

	debuginfo_fd = -1;
	dwarf = dwfl_module_getdwarf(module, &bias);
	close_debuginfo(dwarf);
	dwfl_module_getsymtab(module);
	dwfl_module_eh_cfi(module, &bias);
	dwfl_module_addrdie(module, start, &bias);
}

static int on_module_at_start(
	Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr start, void *arg)
{
	struct lasting_module *entry;

	(void)userdata;
	(void)arg;
	lasting = xrealloc(lasting, lasting_count + 1, sizeof(*lasting));
	entry = &lasting[lasting_count++];
	*entry = (struct lasting_module){.name = name, .start = start};
	dwfl_module_info(module, NULL, NULL, &entry->end, NULL, NULL, NULL, NULL);
	warm(module, start);
	return DWARF_CB_OK;
}

static int init_locked(void)
{
	static char *default_debuginfo_path;
	static const Dwfl_Callbacks callbacks = {
		.find_elf = on_find_elf,
		.find_debuginfo = on_find_debuginfo,
		.debuginfo_path = &default_debuginfo_path,
	};
	int error;

	if (session)
		return 0;
	elf_version(EV_CURRENT);
	session = dwfl_begin(&callbacks);
	if (!session)
		return -ENOMEM;
	error = report(loader_counts());
	if (error) {
		dwfl_end(session);
		session = NULL;
		return error > 0 ? -error : -EIO;
	}
	dwfl_getmodules(session, on_module_at_start, NULL, 0);
	return 0;
}

int modules_init(void)
{
	int error;

	probe_observe_begin();
	pthread_mutex_lock(&lock);
	error = init_locked();
	pthread_mutex_unlock(&lock);
	probe_observe_end();
	return error;
}

Dwfl *modules_lock(void)
{
	pthread_mutex_lock(&lock);
	return session;
}

void modules_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

static bool is_lasting(Dwfl_Module *module)
{
	Dwarf_Addr start;

	dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL);
	for (size_t i = 0; i < lasting_count; i++)
		if (lasting[i].start == start)
			return true;
	return false;
}

/* libdw takes everything above the last module for that module's, and gaps likewise. */
static Dwfl_Module *module_at(uintptr_t pc)
{
	Dwfl_Module *module = dwfl_addrmodule(session, pc);
	Dwarf_Addr start, end;

	if (!module)
		return NULL;
	dwfl_module_info(module, NULL, &start, &end, NULL, NULL, NULL, NULL);
	return pc >= start && pc < end ? module : NULL;
}

Dwfl_Module *modules_find(uintptr_t pc)
{
	struct loader_counts now;
	Dwfl_Module *module;

	if (!session)
		return NULL;
	module = module_at(pc);
	now = loader_counts();
	if (now.adds == reported.adds && now.subs == reported.subs)
		return module;
	/* Only additions: what was known is still there. */
	if (module && (now.subs == reported.subs || is_lasting(module)))
		return module;
	/* Too early to look again, and MODULE may be gone: rather no name than another library's. */
	if (clock_monotonic_ns() - reported_ns < REPORT_INTERVAL_NS)
		return NULL;
	probe_observe_begin();
	report(now);
	probe_observe_end();
	return module_at(pc);
}

unsigned modules_generation(void)
{
	return generation;
}
