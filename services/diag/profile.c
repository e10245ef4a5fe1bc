#include "diag/profile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "diag/profile_internal.h"
#include "probe/thread.h"

#define CAPACITY_MIN 64

static struct stored_type store_type(
	struct string_table *strings, const struct profile_value_type *type)
{
	return (struct stored_type){
		.type = string_table_add(strings, type->type),
		.unit = string_table_add(strings, type->unit),
	};
}

struct profile *profile_create(const struct profile_config *config)
{
	struct profile *profile;

	assert(config->value_count > 0 && config->value_count <= PROFILE_VALUES_MAX);
	probe_observe_begin();
	profile = xcalloc(1, sizeof(*profile));
	string_table_add(&profile->strings, "");
	profile->value_count = config->value_count;
	for (size_t i = 0; i < config->value_count; i++)
		profile->values[i] = store_type(&profile->strings, &config->values[i]);
	profile->period_type = store_type(&profile->strings, &config->period_type);
	profile->period = config->period;
	profile->default_type = string_table_add(&profile->strings, config->default_type);
	probe_observe_end();
	return profile;
}

/* Makes room for COUNT more items behind USED; returns the array, which may have moved. */
static void *make_room(void *items, size_t *capacity, size_t used, size_t count, size_t item_bytes)
{
	size_t wanted = *capacity ? *capacity : CAPACITY_MIN;

	if (used + count <= *capacity)
		return items;
	while (wanted < used + count)
		wanted *= 2;
	*capacity = wanted;
	return xrealloc(items, wanted, item_bytes);
}

/*
 * Labels are compared whole: no byte of them may be left to chance, so there is no padding to fill.
 */
_Static_assert(sizeof(struct stored_label) == 3 * sizeof(size_t) + sizeof(int64_t),
	"a label has no padding");

static bool sample_equal(const void *context, size_t entry, const void *key)
{
	const struct profile *profile = context;
	const struct stored_sample *known = &profile->samples[entry], *wanted = key;

	return known->pc_count == wanted->pc_count && known->label_count == wanted->label_count &&
	       (known->pc_count == 0 ||
		       memcmp(&profile->pcs[known->pc_first], &profile->pcs[wanted->pc_first],
			       known->pc_count * sizeof(*profile->pcs)) == 0) &&
	       (known->label_count == 0 ||
		       memcmp(&profile->labels[known->label_first],
			       &profile->labels[wanted->label_first],
			       known->label_count * sizeof(*profile->labels)) == 0);
}

static uint64_t sample_hash(const struct profile *profile, const struct stored_sample *sample)
{
	uint64_t hash = hash_u64(HASH_SEED, sample->pc_count);

	for (size_t i = 0; i < sample->pc_count; i++)
		hash = hash_u64(hash, profile->pcs[sample->pc_first + i]);
	if (sample->label_count > 0)
		hash = hash_bytes(hash, &profile->labels[sample->label_first],
			sample->label_count * sizeof(*profile->labels));
	return hash;
}

/* Puts stack and labels behind those in use, where they stay only if the sample is a new one. */
static struct stored_sample draft_sample(struct profile *profile, const uintptr_t *pcs,
	size_t pc_count, const struct profile_label *labels, size_t label_count)
{
	struct stored_sample sample = {
		.pc_first = profile->pc_count,
		.pc_count = pc_count,
		.label_first = profile->label_count,
		.label_count = label_count,
	};

	profile->pcs = make_room(profile->pcs, &profile->pc_capacity, profile->pc_count, pc_count,
		sizeof(*profile->pcs));
	if (pc_count > 0)
		memcpy(&profile->pcs[profile->pc_count], pcs, pc_count * sizeof(*pcs));
	profile->labels = make_room(profile->labels, &profile->label_capacity, profile->label_count,
		label_count, sizeof(*profile->labels));
	for (size_t i = 0; i < label_count; i++)
		profile->labels[profile->label_count + i] = (struct stored_label){
			.key = string_table_add(&profile->strings, labels[i].key),
			.text = string_table_add(&profile->strings, labels[i].text),
			.unit = string_table_add(&profile->strings, labels[i].unit),
			.number = labels[i].text ? 0 : labels[i].number,
		};
	return sample;
}

/* A sum that does not fit stays at the end of the scale: better than a negative time. */
static int64_t add_saturated(int64_t left, int64_t right)
{
	int64_t sum;

	if (__builtin_add_overflow(left, right, &sum))
		return right > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

void profile_add_sample(struct profile *profile, const uintptr_t *pcs, size_t pc_count,
	const int64_t *values, const struct profile_label *labels, size_t label_count)
{
	struct stored_sample sample;
	uint64_t hash;
	size_t entry;

	probe_observe_begin();
	sample = draft_sample(profile, pcs, pc_count, labels, label_count);
	hash = sample_hash(profile, &sample);
	entry = hash_index_find(&profile->sample_index, hash, sample_equal, profile, &sample);
	if (entry == HASH_INDEX_NONE) {
		profile->samples = make_room(profile->samples, &profile->sample_capacity,
			profile->sample_count, 1, sizeof(*profile->samples));
		entry = profile->sample_count++;
		profile->samples[entry] = sample;
		profile->pc_count += pc_count;
		profile->label_count += label_count;
		hash_index_add(&profile->sample_index, hash, entry);
	}
	for (size_t i = 0; i < profile->value_count; i++)
		profile->samples[entry].values[i] = add_saturated(
			profile->samples[entry].values[i], values[i]);
	probe_observe_end();
}

void profile_set_time(struct profile *profile, int64_t time_ns, int64_t duration_ns)
{
	profile->time_ns = time_ns;
	profile->duration_ns = duration_ns;
}

void profile_set_comment(struct profile *profile, const char *comment)
{
	probe_observe_begin();
	profile->comment = string_table_add(&profile->strings, comment);
	probe_observe_end();
}

void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	string_table_free(&profile->strings);
	hash_index_free(&profile->sample_index);
	free(profile->samples);
	free(profile->labels);
	free(profile->pcs);
	free(profile);
}
