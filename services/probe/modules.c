#include "probe/modules.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "probe/loader.h"
#include "probe/module_files.h"
#include "probe/thread.h"

#define REPORT_INTERVAL_NS (100 * CLOCK_NS_PER_MS)
#define GRANULE_BYTES (2UL * 1024 * 1024)
#define GRANULE_COUNT 4096

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
static struct loader_snapshot loaded; /* as it was reported */
static int64_t reported_ns;
static unsigned generation;
/*
 * Whether anything is mapped in a granule of the address space, folded into a small table: spares
 * modules_maps() the search for almost every word that is no address of code.
 */
static bool mapped_granules[GRANULE_COUNT];

/*
 * What was unloaded may be back at its old place with other contents: libdw would go on reading the
 * old file.
 */
static void forget_unloadable(void)
{
	dwfl_report_begin(session);
	for (size_t i = 0; i < lasting_count; i++)
		dwfl_report_module(session, lasting[i].name, lasting[i].start, lasting[i].end);
	dwfl_report_end(session, NULL, NULL);
}

static void report_object(const struct loader_object *object)
{
	const char *name = object->name;
	char *resolved = NULL;
	Dwfl_Module *module;

	if (object->start == getauxval(AT_SYSINFO_EHDR))
		name = MODULE_VDSO_NAME;
	else if (*name == '\0')
		name = module_files_program_path();
	else if (*name != '/')
		/* Relative to where the program was when it loaded it, which may have changed. */
		resolved = realpath(name, NULL);
	module = dwfl_report_module(
		session, resolved ? resolved : name, object->start, object->end);
	/* As it is in memory: module_files.c compares the file's with it. */
	if (module && object->build_id_len > 0)
		dwfl_module_report_build_id(
			module, object->build_id, object->build_id_len, object->build_id_addr);
	free(resolved);
}

static int compare_start(const void *a, const void *b)
{
	const struct loader_object *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool *granule_of(uintptr_t address)
{
	return &mapped_granules[address / GRANULE_BYTES % GRANULE_COUNT];
}

/* What modules_maps() looks into. */
static void index_loaded(void)
{
	qsort(loaded.objects, loaded.object_count, sizeof(loaded.objects[0]), compare_start);
	memset(mapped_granules, 0, sizeof(mapped_granules));
	for (size_t i = 0; i < loaded.object_count; i++) {
		uintptr_t address = loaded.objects[i].start / GRANULE_BYTES * GRANULE_BYTES;

		for (; address < loaded.objects[i].end; address += GRANULE_BYTES)
			*granule_of(address) = true;
	}
}

static void report(void)
{
	unsigned long long subs_before = loaded.counts.subs;

	loader_snapshot_take(&loaded);
	if (loaded.counts.subs != subs_before)
		forget_unloadable();
	dwfl_report_begin(session);
	for (size_t i = 0; i < loaded.object_count; i++)
		report_object(&loaded.objects[i]);
	dwfl_report_end(session, NULL, NULL);
	index_loaded();
	generation++;
	reported_ns = clock_monotonic_ns();
}

/*
 * Reads what lookups and unwinding need, which libdw would do at the first address of the module.
 */
static int on_module_at_start(
	Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr start, void *arg)
{
	struct lasting_module *entry;
	Dwarf_Addr bias;

	(void)userdata;
	(void)arg;
	lasting = xrealloc(lasting, lasting_count + 1, sizeof(*lasting));
	entry = &lasting[lasting_count++];
	*entry = (struct lasting_module){.name = name, .start = start};
	dwfl_module_info(module, NULL, NULL, &entry->end, NULL, NULL, NULL, NULL);
	module_files_read_debuginfo(module);
	dwfl_module_getsymtab(module);
	dwfl_module_eh_cfi(module, &bias);
	dwfl_module_addrdie(module, start, &bias);
	return DWARF_CB_OK;
}

static int init_locked(void)
{
	if (session)
		return 0;
	elf_version(EV_CURRENT);
	session = dwfl_begin(&module_files_callbacks);
	if (!session)
		return -ENOMEM;
	report();
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

static bool is_current(struct loader_counts now)
{
	return now.adds == loaded.counts.adds && now.subs == loaded.counts.subs;
}

Dwfl_Module *modules_find(uintptr_t pc)
{
	struct loader_counts now;
	Dwfl_Module *module;

	if (!session)
		return NULL;
	module = module_at(pc);
	now = loader_counts();
	if (is_current(now))
		return module;
	/* Only additions: what was known is still there. */
	if (module && (now.subs == loaded.counts.subs || is_lasting(module)))
		return module;
	/*
	 * Too early to look again, and MODULE may be gone: rather no name than another library's.
	 */
	if (clock_monotonic_ns() - reported_ns < REPORT_INTERVAL_NS)
		return NULL;
	probe_observe_begin();
	report();
	probe_observe_end();
	return module_at(pc);
}

unsigned modules_generation(void)
{
	return generation;
}

bool modules_refresh(void)
{
	if (is_current(loader_counts()))
		return true;
	if (clock_monotonic_ns() - reported_ns < REPORT_INTERVAL_NS)
		return false;
	report();
	return is_current(loader_counts());
}

bool modules_maps(uintptr_t address)
{
	size_t low = 0, high = loaded.object_count;

	if (!*granule_of(address))
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (address < loaded.objects[middle].start)
			high = middle;
		else if (address >= loaded.objects[middle].end)
			low = middle + 1;
		else
			return true;
	}
	return false;
}
