/* What a request does. */
#include <stddef.h>

#include "app/fault.h"

#define PART(symbol) extern const struct fault symbol;
#include "parts.def"
#undef PART

static const struct fault *const parts[] = {
#define PART(symbol) &symbol,
#include "parts.def"
#undef PART
};

#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

static void release_first(size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (parts[i]->release)
			parts[i]->release();
}

static void undo_first(size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (parts[i]->undo)
			parts[i]->undo();
}

static int enter(bool fixed)
{
	for (size_t i = 0; i < PART_COUNT; i++) {
		int err = parts[i]->enter ? parts[i]->enter(fixed) : 0;

		if (err) {
			release_first(i);
			undo_first(i);
			return err;
		}
	}
	return 0;
}

static int handle_order(struct fault_call *call)
{
	int err = 0;

	for (size_t i = 0; i < PART_COUNT && !err; i++)
		err = parts[i]->serve(call);
	return err;
}

static void release(void)
{
	release_first(PART_COUNT);
}

static void undo(void)
{
	undo_first(PART_COUNT);
}

const struct fault fault_case = {
	.name = "case",
	.does = "handles an order",
	.may_block = true,
	.enter = enter,
	.serve = handle_order,
	.release = release,
	.undo = undo,
};
