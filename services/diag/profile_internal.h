/*
 * profile_internal: what the builder (profile.c) keeps and the encoder (profile_encode.c) reads.
 *
 * Shape:     samples name their addresses and labels as ranges of two arrays that all samples
 *            share. Texts are positions in `strings`.
 * Thread:    as profile.h.
 */
#ifndef SICKBAY_DIAG_PROFILE_INTERNAL_H
#define SICKBAY_DIAG_PROFILE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/hash_index.h"
#include "diag/profile.h"
#include "common/string_table.h"

struct stored_type {
	size_t type, unit;
};

struct stored_label {
	size_t key, text, unit;
	int64_t number;
};

struct stored_sample {
	size_t pc_first, pc_count;
	size_t label_first, label_count;
	int64_t values[PROFILE_VALUES_MAX];
};

struct profile {
	struct stored_type values[PROFILE_VALUES_MAX], period_type;
	size_t value_count;
	size_t default_type, comment;
	int64_t period, time_ns, duration_ns;

	struct string_table strings; /* position 0 is "" */
	uintptr_t *pcs;
	size_t pc_count, pc_capacity;
	struct stored_label *labels;
	size_t label_count, label_capacity;
	struct stored_sample *samples;
	size_t sample_count, sample_capacity;
	struct hash_index sample_index;
};

#endif
