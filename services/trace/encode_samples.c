/* Samples of CPU time, and the stacks that they share. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "probe/symbolize.h"
#include "trace/encode_internal.h"

#define CPU_MODE_USER 2
#define SAMPLE_FRAMES_MAX 256

static void put_news(struct encoder *encoder, Perfetto__InternedData *data)
{
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;

	packet.interned_data = data;
	encoder_put_packet(encoder, &packet);
}

/* ---- frames ---- */

static uint64_t intern_mapping(struct encoder *encoder, const struct probe_module *module)
{
	Perfetto__InternedData data = PERFETTO__INTERNED_DATA__INIT;
	Perfetto__Mapping mapping = PERFETTO__MAPPING__INIT, *mappings[] = {&mapping};
	Perfetto__InternedString path = PERFETTO__INTERNED_STRING__INIT, *paths[] = {&path};
	const char *text = module ? module->path : "[unknown]";
	size_t known_count = encoder->paths.count;
	uint64_t iid = string_table_add(&encoder->paths, text) + 1;

	if (iid <= known_count)
		return iid;
	path.has_iid = path.has_str = 1;
	path.iid = iid;
	/* Readers put a slash before each part of a path. */
	text += *text == '/';
	path.str.data = (uint8_t *)text;
	path.str.len = strlen(text);
	mapping.has_iid = mapping.has_start = mapping.has_end = 1;
	mapping.iid = iid;
	mapping.start = module ? module->start : 0;
	mapping.end = module ? module->end : 0;
	mapping.n_path_string_ids = 1;
	mapping.path_string_ids = &iid;
	data.n_mapping_paths = data.n_mappings = 1;
	data.mapping_paths = paths;
	data.mappings = mappings;
	put_news(encoder, &data);
	return iid;
}

static uint64_t intern_function(struct encoder *encoder, const char *name)
{
	struct news news;
	uint64_t iid;

	encoder_news_init(&news);
	iid = INTERN(&news, &encoder->functions, function_names, name);
	if (news.string_count > 0)
		put_news(encoder, &news.data);
	return iid;
}

static bool frame_equal(const void *context, size_t entry, const void *key)
{
	const struct encoder *encoder = context;

	return memcmp(&encoder->frames[entry], key, sizeof(struct frame)) == 0;
}

static void put_frame(struct encoder *encoder, uint64_t iid, const struct frame *key)
{
	Perfetto__InternedData data = PERFETTO__INTERNED_DATA__INIT;
	Perfetto__Frame frame = PERFETTO__FRAME__INIT, *frames[] = {&frame};

	frame.has_iid = frame.has_function_name_id = frame.has_mapping_id = frame.has_rel_pc = 1;
	frame.iid = iid;
	frame.function_name_id = key->function;
	frame.mapping_id = key->mapping;
	frame.rel_pc = key->rel_pc;
	data.n_frames = 1;
	data.frames = frames;
	put_news(encoder, &data);
}

/* One frame for each function: the flame graph adds up by frames. */
static uint64_t intern_frame(struct encoder *encoder, const struct probe_symbol *symbol, size_t i)
{
	uintptr_t base = symbol->module ? symbol->module->start : 0;
	struct frame key = {
		.function = intern_function(encoder, symbol->frames[i].function),
		.mapping = intern_mapping(encoder, symbol->module),
		.rel_pc = (symbol->function_start ? symbol->function_start : symbol->pc) - base,
	};
	uint64_t hash = hash_bytes(HASH_SEED, &key, sizeof(key));
	size_t entry = hash_index_find(&encoder->frame_index, hash, frame_equal, encoder, &key);

	if (entry != HASH_INDEX_NONE)
		return entry + 1;
	entry = encoder->frame_count++;
	/* Grows by doubling, when the count is a power of two. */
	if ((entry & (entry - 1)) == 0)
		encoder->frames = xrealloc(
			encoder->frames, entry ? 2 * entry : 1, sizeof(*encoder->frames));
	encoder->frames[entry] = key;
	hash_index_add(&encoder->frame_index, hash, entry);
	put_frame(encoder, entry + 1, &key);
	return entry + 1;
}

/* ---- callstacks ---- */

static bool callstack_equal(const void *context, size_t entry, const void *key)
{
	const struct callstack *known = &((const struct encoder *)context)->callstacks[entry];
	const struct callstack *wanted = key;

	return known->frame_count == wanted->frame_count &&
	       memcmp(known->frames, wanted->frames,
		       wanted->frame_count * sizeof(*wanted->frames)) == 0;
}

static void keep_callstack(struct encoder *encoder, const struct callstack *callstack)
{
	size_t size_bytes = callstack->frame_count * sizeof(*callstack->frames);
	size_t entry = encoder->callstack_count++;
	struct callstack *kept;

	/* Grows by doubling, when the count is a power of two. */
	if ((entry & (entry - 1)) == 0)
		encoder->callstacks = xrealloc(
			encoder->callstacks, entry ? 2 * entry : 1, sizeof(*encoder->callstacks));
	kept = &encoder->callstacks[entry];
	kept->frame_count = callstack->frame_count;
	kept->frames = xmalloc(size_bytes);
	memcpy(kept->frames, callstack->frames, size_bytes);
}

static uint64_t intern_callstack(struct encoder *encoder, struct callstack *key)
{
	Perfetto__InternedData data = PERFETTO__INTERNED_DATA__INIT;
	Perfetto__Callstack callstack = PERFETTO__CALLSTACK__INIT, *callstacks[] = {&callstack};
	uint64_t hash = hash_bytes(HASH_SEED, key->frames, key->frame_count * sizeof(*key->frames));
	size_t entry = hash_index_find(
		&encoder->callstack_index, hash, callstack_equal, encoder, key);

	if (entry != HASH_INDEX_NONE)
		return entry + 1;
	hash_index_add(&encoder->callstack_index, hash, encoder->callstack_count);
	keep_callstack(encoder, key);
	callstack.has_iid = 1;
	callstack.iid = encoder->callstack_count;
	callstack.n_frame_ids = key->frame_count;
	callstack.frame_ids = key->frames;
	data.n_callstacks = 1;
	data.callstacks = callstacks;
	put_news(encoder, &data);
	return callstack.iid;
}

void encode_sample(
	struct encoder *encoder, int64_t time_ns, pid_t tid, const uintptr_t *pcs, size_t pc_count)
{
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;
	Perfetto__PerfSample sample = PERFETTO__PERF_SAMPLE__INIT;
	uint64_t frames[SAMPLE_FRAMES_MAX];
	struct callstack callstack = {0, frames};

	/* From the outside in, and so are the calls that were inlined. */
	for (size_t i = pc_count; i-- > 0;) {
		const struct probe_symbol *symbol = probe_symbolize(pcs[i]);

		for (size_t j = symbol->frame_count; j-- > 0;)
			if (callstack.frame_count < SAMPLE_FRAMES_MAX)
				frames[callstack.frame_count++] = intern_frame(encoder, symbol, j);
	}
	sample.has_pid = sample.has_tid = sample.has_cpu_mode = sample.has_callstack_iid = 1;
	sample.pid = (uint32_t)encoder->pid;
	sample.tid = (uint32_t)tid;
	sample.cpu_mode = CPU_MODE_USER;
	sample.callstack_iid = intern_callstack(encoder, &callstack);
	packet.perf_sample = &sample;
	encoder_set_time(encoder, &packet, time_ns);
	encoder_put_packet(encoder, &packet);
}

void encoder_free_stacks(struct encoder *encoder)
{
	string_table_free(&encoder->functions);
	string_table_free(&encoder->paths);
	free(encoder->frames);
	hash_index_free(&encoder->frame_index);
	for (size_t i = 0; i < encoder->callstack_count; i++)
		free(encoder->callstacks[i].frames);
	free(encoder->callstacks);
	hash_index_free(&encoder->callstack_index);
}
