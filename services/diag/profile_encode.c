#include "diag/profile.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/hash_index.h"
#include "diag/arena.h"
#include "diag/gzip.h"
#include "diag/profile_internal.h"
#include "probe/symbolize.h"
#include "probe/thread.h"
#include "proto/profile.pb-c.h"

/* Messages of one kind. A message's id is its position + 1; what it stands for is its key. */
struct table {
	void **messages;
	const void **keys;
	size_t count, capacity;
	struct hash_index index;
};

struct encoder {
	const struct profile *profile;
	struct arena arena; /* of all messages */
	struct string_table strings;
	struct table mappings;  /* key: struct probe_module */
	struct table functions; /* key: struct probe_frame */
	struct table locations; /* no key: the message has the address */
	uint64_t no_stack_id;
};

static size_t table_append(struct table *table, void *message, const void *key)
{
	if (table->count == table->capacity) {
		table->capacity = table->capacity ? table->capacity * 2 : 64;
		table->messages = xrealloc(
			table->messages, table->capacity, sizeof(*table->messages));
		table->keys = xrealloc(table->keys, table->capacity, sizeof(*table->keys));
	}
	table->messages[table->count] = message;
	table->keys[table->count] = key;
	return table->count++;
}

static void table_free(struct table *table)
{
	free(table->messages);
	free(table->keys);
	hash_index_free(&table->index);
}

/* Texts move from the profile's table, or the symbolizer's, into the one that is written. */
static int64_t text(struct encoder *encoder, const char *string)
{
	return (int64_t)string_table_add(&encoder->strings, string);
}

static int64_t stored_text(struct encoder *encoder, size_t position)
{
	return text(encoder, encoder->profile->strings.texts[position]);
}

static bool mapping_equal(const void *context, size_t entry, const void *key)
{
	const struct table *table = context;

	return table->keys[entry] == key;
}

static uint64_t mapping_id(struct encoder *encoder, const struct probe_module *module)
{
	struct table *table = &encoder->mappings;
	uint64_t hash = hash_u64(HASH_SEED, (uintptr_t)module);
	struct Perftools__Profiles__Mapping *mapping;
	size_t entry;

	if (!module)
		return 0;
	entry = hash_index_find(&table->index, hash, mapping_equal, table, module);
	if (entry != HASH_INDEX_NONE)
		return entry + 1;
	mapping = arena_alloc(&encoder->arena, 1, sizeof(*mapping));
	perftools__profiles__mapping__init(mapping);
	mapping->memory_start = module->text_start;
	mapping->memory_limit = module->text_end;
	mapping->file_offset = module->text_offset;
	mapping->filename = text(encoder, module->path);
	mapping->build_id = text(encoder, module->build_id);
	/*
	 * Also where nothing was found: a reader with another build of the file at hand would
	 * invent names.
	 */
	mapping->has_functions = true;
	mapping->has_filenames = true;
	mapping->has_line_numbers = true;
	mapping->has_inline_frames = true;
	entry = table_append(table, mapping, module);
	hash_index_add(&table->index, hash, entry);
	return mapping->id = entry + 1;
}

/* The symbolizer has every text once: equal texts are equal pointers. */
static bool function_equal(const void *context, size_t entry, const void *key)
{
	const struct table *table = context;
	const struct probe_frame *known = table->keys[entry], *wanted = key;

	return known->function == wanted->function && known->file == wanted->file &&
	       known->function_line == wanted->function_line;
}

static uint64_t function_id(struct encoder *encoder, const struct probe_frame *frame)
{
	struct table *table = &encoder->functions;
	uint64_t hash = hash_u64(HASH_SEED, (uintptr_t)frame->function);
	struct Perftools__Profiles__Function *function;
	size_t entry;

	hash = hash_u64(hash, (uintptr_t)frame->file);
	hash = hash_u64(hash, (uint64_t)frame->function_line);
	entry = hash_index_find(&table->index, hash, function_equal, table, frame);
	if (entry != HASH_INDEX_NONE)
		return entry + 1;
	function = arena_alloc(&encoder->arena, 1, sizeof(*function));
	perftools__profiles__function__init(function);
	function->name = text(encoder, frame->function);
	function->system_name = function->name;
	function->filename = text(encoder, frame->file);
	function->start_line = frame->function_line;
	entry = table_append(table, function, frame);
	hash_index_add(&table->index, hash, entry);
	return function->id = entry + 1;
}

static struct Perftools__Profiles__Location *new_location(
	struct encoder *encoder, const struct probe_frame *frames, size_t frame_count)
{
	struct arena *arena = &encoder->arena;
	struct Perftools__Profiles__Location *location = arena_alloc(arena, 1, sizeof(*location));
	struct Perftools__Profiles__Line *lines = arena_alloc(arena, frame_count, sizeof(*lines));

	perftools__profiles__location__init(location);
	location->n_line = frame_count;
	location->line = arena_alloc(
		arena, frame_count, sizeof(struct Perftools__Profiles__Line *));
	for (size_t i = 0; i < frame_count; i++) {
		perftools__profiles__line__init(&lines[i]);
		lines[i].function_id = function_id(encoder, &frames[i]);
		lines[i].line = frames[i].line;
		location->line[i] = &lines[i];
	}
	return location;
}

static bool location_equal(const void *context, size_t entry, const void *key)
{
	const struct table *table = context;
	const struct Perftools__Profiles__Location *location = table->messages[entry];

	return location->address == *(const uintptr_t *)key;
}

static uint64_t location_id(struct encoder *encoder, uintptr_t pc)
{
	struct table *table = &encoder->locations;
	uint64_t hash = hash_u64(HASH_SEED, pc);
	size_t entry = hash_index_find(&table->index, hash, location_equal, table, &pc);
	struct Perftools__Profiles__Location *location;
	const struct probe_symbol *symbol;

	if (entry != HASH_INDEX_NONE)
		return entry + 1;
	symbol = probe_symbolize(pc);
	location = new_location(encoder, symbol->frames, symbol->frame_count);
	location->address = pc;
	location->mapping_id = mapping_id(encoder, symbol->module);
	entry = table_append(table, location, NULL);
	hash_index_add(&table->index, hash, entry);
	return location->id = entry + 1;
}

/*
 * What could not be unwound still counts, under a name that says so. Found by no address: it is not
 * in the index.
 */
static uint64_t no_stack_id(struct encoder *encoder)
{
	static const struct probe_frame frame = {.function = "[no stack]", .file = ""};
	struct Perftools__Profiles__Location *location;

	if (encoder->no_stack_id == 0) {
		location = new_location(encoder, &frame, 1);
		location->id = table_append(&encoder->locations, location, NULL) + 1;
		encoder->no_stack_id = location->id;
	}
	return encoder->no_stack_id;
}

static struct Perftools__Profiles__Label *new_label(
	struct encoder *encoder, const struct stored_label *stored)
{
	struct Perftools__Profiles__Label *label = arena_alloc(&encoder->arena, 1, sizeof(*label));

	perftools__profiles__label__init(label);
	label->key = stored_text(encoder, stored->key);
	label->str = stored_text(encoder, stored->text);
	label->num = stored->number;
	label->num_unit = stored_text(encoder, stored->unit);
	return label;
}

static struct Perftools__Profiles__Sample *new_sample(
	struct encoder *encoder, const struct stored_sample *stored)
{
	const struct profile *profile = encoder->profile;
	struct arena *arena = &encoder->arena;
	struct Perftools__Profiles__Sample *sample = arena_alloc(arena, 1, sizeof(*sample));

	perftools__profiles__sample__init(sample);
	sample->n_location_id = stored->pc_count ? stored->pc_count : 1;
	sample->location_id = arena_alloc(arena, sample->n_location_id, sizeof(uint64_t));
	for (size_t i = 0; i < stored->pc_count; i++)
		sample->location_id[i] = location_id(encoder, profile->pcs[stored->pc_first + i]);
	if (stored->pc_count == 0)
		sample->location_id[0] = no_stack_id(encoder);
	sample->n_value = profile->value_count;
	sample->value = (int64_t *)stored->values; /* only read */
	sample->n_label = stored->label_count;
	sample->label = arena_alloc(arena, stored->label_count, sizeof(*sample->label));
	for (size_t i = 0; i < stored->label_count; i++)
		sample->label[i] = new_label(encoder, &profile->labels[stored->label_first + i]);
	return sample;
}

static struct Perftools__Profiles__ValueType *new_type(
	struct encoder *encoder, const struct stored_type *stored)
{
	struct Perftools__Profiles__ValueType *type = arena_alloc(
		&encoder->arena, 1, sizeof(*type));

	perftools__profiles__value_type__init(type);
	type->type = stored_text(encoder, stored->type);
	type->unit = stored_text(encoder, stored->unit);
	return type;
}

/* Everything that refers to the tables; they are complete afterwards. */
static bool is_zero(const struct profile *profile, const struct stored_sample *sample)
{
	for (size_t i = 0; i < profile->value_count; i++)
		if (sample->values[i] != 0)
			return false;
	return true;
}

static void fill_samples(struct encoder *encoder, struct Perftools__Profiles__Profile *message)
{
	const struct profile *profile = encoder->profile;
	struct arena *arena = &encoder->arena;

	text(encoder, "");
	mapping_id(encoder, probe_main_module());
	message->n_sample_type = profile->value_count;
	message->sample_type = arena_alloc(
		arena, profile->value_count, sizeof(*message->sample_type));
	for (size_t i = 0; i < profile->value_count; i++)
		message->sample_type[i] = new_type(encoder, &profile->values[i]);
	message->sample = arena_alloc(arena, profile->sample_count, sizeof(*message->sample));
	for (size_t i = 0; i < profile->sample_count; i++)
		if (!is_zero(profile, &profile->samples[i]))
			message->sample[message->n_sample++] = new_sample(
				encoder, &profile->samples[i]);
	message->time_nanos = profile->time_ns;
	message->duration_nanos = profile->duration_ns;
	message->period_type = new_type(encoder, &profile->period_type);
	message->period = profile->period;
	message->default_sample_type = stored_text(encoder, profile->default_type);
	message->n_comment = profile->comment ? 1 : 0;
	message->comment = arena_alloc(arena, 1, sizeof(*message->comment));
	message->comment[0] = stored_text(encoder, profile->comment);
}

static void fill_tables(struct encoder *encoder, struct Perftools__Profiles__Profile *message)
{
	message->n_mapping = encoder->mappings.count;
	message->mapping = (struct Perftools__Profiles__Mapping **)encoder->mappings.messages;
	message->n_location = encoder->locations.count;
	message->location = (struct Perftools__Profiles__Location **)encoder->locations.messages;
	message->n_function = encoder->functions.count;
	message->function = (struct Perftools__Profiles__Function **)encoder->functions.messages;
	message->n_string_table = encoder->strings.count;
	message->string_table = encoder->strings.texts;
}

struct gzip_buffer {
	ProtobufCBuffer base; /* first: protobuf-c hands it back */
	struct gzip gzip;
};

static void on_packed(ProtobufCBuffer *buffer, size_t len_bytes, const uint8_t *data)
{
	gzip_write(&((struct gzip_buffer *)buffer)->gzip, data, len_bytes);
}

static int pack(const struct Perftools__Profiles__Profile *message, struct strbuf *out)
{
	struct gzip_buffer buffer = {.base = {.append = on_packed}};
	int err = gzip_begin(&buffer.gzip, out);

	if (err)
		return err;
	perftools__profiles__profile__pack_to_buffer(message, &buffer.base);
	return gzip_end(&buffer.gzip);
}

int profile_encode(const struct profile *profile, struct strbuf *out)
{
	struct encoder encoder = {.profile = profile};
	struct Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;
	int err;

	probe_observe_begin();
	fill_samples(&encoder, &message);
	fill_tables(&encoder, &message);
	err = pack(&message, out);
	table_free(&encoder.locations);
	table_free(&encoder.functions);
	table_free(&encoder.mappings);
	string_table_free(&encoder.strings);
	arena_free(&encoder.arena);
	probe_observe_end();
	return err;
}
