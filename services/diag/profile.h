/*
 * profile: builds a profile in pprof's format, symbolized: readable on a machine with no binary and
 * no sources.
 *
 * Shape:     name the value types once, add samples (stack, values, labels), encode once. Samples
 *            with equal stacks and labels are merged; those whose values are all 0 then, as in the
 *            difference of two snapshots, are left out. Stacks come innermost first, as addresses
 *            from probe/capture.h (return addresses already moved back into their call).
 * Returns:   profile_encode() 0, or -ENOMEM/-EIO of the compressor; OUT is appended to only on
 *            success.
 * Ownership: the builder copies everything it is given; profile_free() (NULL is fine) ends it.
 * Thread:    one thread at a time per builder; not AS-Safe. Symbolizing takes probe's modules lock.
 * Source:    profile.proto of github.com/google/pprof: field numbers and meaning; a profile is its
 *            gzip.
 */
#ifndef SICKBAY_DIAG_PROFILE_H
#define SICKBAY_DIAG_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

#define PROFILE_VALUES_MAX 4

struct profile;

struct profile_value_type {
	const char *type, *unit; /* "cpu", "nanoseconds" */
};

struct profile_label {
	const char *key;
	const char *text; /* or NULL: then NUMBER counts */
	int64_t number;
	const char *unit; /* of NUMBER; may be NULL */
};

struct profile_config {
	struct profile_value_type values[PROFILE_VALUES_MAX];
	size_t value_count;
	struct profile_value_type period_type;
	int64_t period;
	const char *default_type; /* which value pprof shows first; NULL: the last */
};

struct profile *profile_create(const struct profile_config *config);
void profile_add_sample(struct profile *profile, const uintptr_t *pcs, size_t pc_count,
	const int64_t *values, const struct profile_label *labels, size_t label_count);
/* TIME_NS: wall clock at the start; DURATION_NS 0: a snapshot. Unset, both are left out. */
void profile_set_time(struct profile *profile, int64_t time_ns, int64_t duration_ns);
/*
 * What a reader should know ("12 samples were dropped"); NULL: nothing. Shown by pprof -comments.
 */
void profile_set_comment(struct profile *profile, const char *comment);
/* Uncompressed size is bounded only by what was added; OUT gets the gzip. */
int profile_encode(const struct profile *profile, struct strbuf *out)
	__attribute__((warn_unused_result));
void profile_free(struct profile *profile);

#endif
