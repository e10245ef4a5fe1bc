#include "diag/creator.h"

#include "probe/depot.h"

/* Where the linker lets the program begin. */
extern const char _start[];
static const uintptr_t entry = (uintptr_t)_start;

struct thread_stack creator_stack(
	const struct depot_stack *created_by, const uintptr_t *created_by_pc)
{
	if (created_by)
		return (struct thread_stack){created_by->pc_count, created_by->pcs};
	return (struct thread_stack){1, *created_by_pc ? created_by_pc : &entry};
}
