#include "probe/loader.h"

#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

#define OBJECTS_SPARE 16
#define NAMES_SPARE_BYTES 4096

static int on_first_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct loader_counts *counts = arg;

	(void)size;
	counts->adds = info->dlpi_adds;
	counts->subs = info->dlpi_subs;
	return 1;
}

struct loader_counts loader_counts(void)
{
	struct loader_counts counts = {0};

	dl_iterate_phdr(on_first_object, &counts);
	return counts;
}

static void set_range(struct loader_object *object, const struct dl_phdr_info *info)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	object->start = UINTPTR_MAX;
	object->end = 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + header->p_vaddr;
		uintptr_t end = start + header->p_memsz;

		if (header->p_type != PT_LOAD)
			continue;
		start &= -page;
		end = (end + page - 1) & -page;
		object->start = start < object->start ? start : object->start;
		object->end = end > object->end ? end : object->end;
	}
}

/* Notes stand one behind the other: header, name and contents, each padded to four bytes. */
static void find_build_id(struct loader_object *object, uintptr_t at, uintptr_t end)
{
	while (end - at >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		uintptr_t name = at + sizeof(*note);
		uintptr_t contents = name + ((note->n_namesz + (uintptr_t)3) & ~(uintptr_t)3);
		uintptr_t next = contents + ((note->n_descsz + (uintptr_t)3) & ~(uintptr_t)3);

		if (next > end || next <= at)
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof(ELF_NOTE_GNU) &&
			memcmp((const void *)name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
			note->n_descsz <= sizeof(object->build_id)) {
			object->build_id_addr = contents;
			object->build_id_len = note->n_descsz;
			memcpy(object->build_id, (const void *)contents, note->n_descsz);
			return;
		}
		at = next;
	}
}

static void set_build_id(struct loader_object *object, const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum && object->build_id_len == 0; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + header->p_vaddr;

		/* The other notes are aligned to eight and have no id. */
		if (header->p_type == PT_NOTE && header->p_align <= 4)
			find_build_id(object, start, start + header->p_memsz);
	}
}

/* Counts what does not fit, so that the next try has room. */
static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct loader_snapshot *snapshot = arg;
	size_t name_bytes = strlen(info->dlpi_name) + 1;
	struct loader_object object = {0};

	on_first_object(info, size, &snapshot->counts);
	set_range(&object, info);
	if (object.start >= object.end)
		return 0;
	if (snapshot->object_count < snapshot->object_capacity &&
		snapshot->names_bytes + name_bytes <= snapshot->names_capacity_bytes) {
		set_build_id(&object, info);
		object.name = snapshot->names + snapshot->names_bytes;
		memcpy(snapshot->names + snapshot->names_bytes, info->dlpi_name, name_bytes);
		snapshot->objects[snapshot->object_count] = object;
	}
	snapshot->object_count++;
	snapshot->names_bytes += name_bytes;
	return 0;
}

void loader_snapshot_take(struct loader_snapshot *snapshot)
{
	for (;;) {
		snapshot->object_count = 0;
		snapshot->names_bytes = 0;
		dl_iterate_phdr(on_object, snapshot);
		if (snapshot->object_count <= snapshot->object_capacity &&
			snapshot->names_bytes <= snapshot->names_capacity_bytes)
			return;
		snapshot->object_capacity = snapshot->object_count + OBJECTS_SPARE;
		snapshot->objects = xrealloc(
			snapshot->objects, snapshot->object_capacity, sizeof(*snapshot->objects));
		snapshot->names_capacity_bytes = snapshot->names_bytes + NAMES_SPARE_BYTES;
		snapshot->names = xrealloc(snapshot->names, snapshot->names_capacity_bytes, 1);
	}
}

void loader_snapshot_free(struct loader_snapshot *snapshot)
{
	free(snapshot->objects);
	free(snapshot->names);
	*snapshot = (struct loader_snapshot){0};
}
