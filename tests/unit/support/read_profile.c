#include "read_profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/alloc.h"
#include "proto/profile.pb-c.h"

struct read_profile {
	Perftools__Profiles__Profile *message;
};

struct read_profile *read_profile_open(const struct strbuf *gzip)
{
	struct read_profile *profile = xmalloc(sizeof(*profile));
	struct strbuf raw = STRBUF_INIT;
	z_stream stream = {0};
	int status;

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (unsigned char *)gzip->data;
	stream.avail_in = (unsigned)gzip->len_bytes;
	do {
		stream.next_out = (unsigned char *)strbuf_reserve(&raw, 65536);
		stream.avail_out = 65536;
		status = inflate(&stream, Z_NO_FLUSH);
		assert_true(status == Z_OK || status == Z_STREAM_END);
		strbuf_grew(&raw, 65536 - stream.avail_out);
	} while (status != Z_STREAM_END);
	inflateEnd(&stream);
	profile->message = perftools__profiles__profile__unpack(
		NULL, raw.len_bytes, (uint8_t *)raw.data);
	strbuf_free(&raw);
	assert_non_null(profile->message);
	return profile;
}

void read_profile_close(struct read_profile *profile)
{
	perftools__profiles__profile__free_unpacked(profile->message, NULL);
	free(profile);
}

static const char *function_name(
	const struct read_profile *profile, uint64_t location_id, size_t line)
{
	const Perftools__Profiles__Location *location = profile->message->location[location_id - 1];
	uint64_t function_id = location->line[line]->function_id;

	assert_int_equal(location->id, location_id);
	return profile->message->string_table[profile->message->function[function_id - 1]->name];
}

/* Flattens inlined calls: the names of a sample, innermost first. */
static size_t names_of(const struct read_profile *profile,
	const Perftools__Profiles__Sample *sample, const char **names, size_t max_count)
{
	size_t count = 0;

	for (size_t i = 0; i < sample->n_location_id; i++) {
		const Perftools__Profiles__Location *location =
			profile->message->location[sample->location_id[i] - 1];

		for (size_t k = 0; k < location->n_line && count < max_count; k++)
			names[count++] = function_name(profile, location->id, k);
	}
	return count;
}

int64_t read_profile_total(const struct read_profile *profile, int index)
{
	int64_t total = 0;

	for (size_t i = 0; i < profile->message->n_sample; i++)
		total += profile->message->sample[i]->value[index];
	return total;
}

static bool has_function(const struct read_profile *profile,
	const Perftools__Profiles__Sample *sample, const char *function)
{
	const char *names[512];
	size_t count = names_of(profile, sample, names, 512);

	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], function) == 0)
			return true;
	return false;
}

int64_t read_profile_cumulative(const struct read_profile *profile, int index, const char *function)
{
	int64_t total = 0;

	for (size_t i = 0; i < profile->message->n_sample; i++)
		if (has_function(profile, profile->message->sample[i], function))
			total += profile->message->sample[i]->value[index];
	return total;
}

int64_t read_profile_edge(
	const struct read_profile *profile, int index, const char *callee, const char *caller)
{
	const char *names[512];
	int64_t total = 0;

	for (size_t i = 0; i < profile->message->n_sample; i++) {
		const Perftools__Profiles__Sample *sample = profile->message->sample[i];
		size_t count = names_of(profile, sample, names, 512);

		for (size_t k = 0; k < count; k++)
			if (strcmp(names[k], callee) == 0 &&
				(!caller || (k + 1 < count && strcmp(names[k + 1], caller) == 0))) {
				total += sample->value[index];
				break;
			}
	}
	return total;
}

static bool has_label(const struct read_profile *profile, const Perftools__Profiles__Sample *sample,
	const char *key, const char *text)
{
	char **strings = profile->message->string_table;

	for (size_t i = 0; i < sample->n_label; i++)
		if (strcmp(strings[sample->label[i]->key], key) == 0 &&
			strcmp(strings[sample->label[i]->str], text) == 0)
			return true;
	return false;
}

int64_t read_profile_labelled(const struct read_profile *profile, int index, const char *function,
	const char *key, const char *text)
{
	int64_t total = 0;

	for (size_t i = 0; i < profile->message->n_sample; i++) {
		const Perftools__Profiles__Sample *sample = profile->message->sample[i];

		if (has_label(profile, sample, key, text) &&
			(!function || has_function(profile, sample, function)))
			total += sample->value[index];
	}
	return total;
}

const char *read_profile_comment(const struct read_profile *profile)
{
	if (profile->message->n_comment == 0)
		return "";
	return profile->message->string_table[profile->message->comment[0]];
}
