/*
 * read_profile: reads an encoded profile back and asks it what a person would.
 *
 * Ownership: read_profile_open() aborts the test on anything that is no profile;
 *            read_profile_close() frees.
 */
#ifndef SICKBAY_TESTS_READ_PROFILE_H
#define SICKBAY_TESTS_READ_PROFILE_H

#include <stdint.h>

#include "common/strbuf.h"

struct read_profile;

struct read_profile *read_profile_open(const struct strbuf *gzip);
void read_profile_close(struct read_profile *profile);

/* The sum of value INDEX over all samples. */
int64_t read_profile_total(const struct read_profile *profile, int index);
/* ... over those with FUNCTION anywhere in the stack (pprof's cum). */
int64_t read_profile_cumulative(
	const struct read_profile *profile, int index, const char *function);
/* ... over those in which CALLER calls CALLEE directly; CALLER NULL: anybody. */
int64_t read_profile_edge(
	const struct read_profile *profile, int index, const char *callee, const char *caller);
/* ... over those with the label KEY = TEXT and FUNCTION in the stack; FUNCTION NULL: any stack. */
int64_t read_profile_labelled(const struct read_profile *profile, int index, const char *function,
	const char *key, const char *text);
const char *read_profile_comment(const struct read_profile *profile);

#endif
