#include "common/memory.h"

#include <gperftools/malloc_extension_c.h>
#include <malloc.h>

/* Absent from a sanitizer build. */
#pragma weak MallocExtension_ReleaseFreeMemory

void memory_return_to_system(void)
{
	if (MallocExtension_ReleaseFreeMemory)
		MallocExtension_ReleaseFreeMemory();
	else
		malloc_trim(0);
}
