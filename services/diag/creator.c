#include "diag/creator.h"

#include <sys/auxv.h>

#include "probe/depot.h"

struct thread_stack creator_stack(const struct depot_stack *created_by, uintptr_t *created_by_pc)
{
	if (created_by)
		return (struct thread_stack){created_by->pc_count, created_by->pcs};
	if (*created_by_pc == 0)
		*created_by_pc = getauxval(AT_ENTRY);
	return (struct thread_stack){1, created_by_pc};
}
