/*
 * read_contention: snapshots of contention, asked for one place in the code.
 *
 * Ownership: the caller frees what read_contention_take() and _since() return with free().
 */
#ifndef SICKBAY_TESTS_READ_CONTENTION_H
#define SICKBAY_TESTS_READ_CONTENTION_H

#include "diag/contention.h"

struct contention_snapshot *read_contention_take(enum contention_kind kind);
/* What came since OLD, which stays. */
struct contention_snapshot *read_contention_since(const struct contention_snapshot *old);

/* The sum over stacks whose leaf is LEAF, called by CALLER (or inlined there). */
struct contention_entry read_contention_sum(
	const struct contention_snapshot *snapshot, const char *leaf, const char *caller);
/* The sum over stacks that have FUNCTION anywhere; NULL: over all. */
struct contention_entry read_contention_cumulative(
	const struct contention_snapshot *snapshot, const char *function);
/* Returns when COUNT or more are seen there; fails the test if that does not come. */
void read_contention_await(
	enum contention_kind kind, const char *leaf, const char *caller, double count);

#endif
