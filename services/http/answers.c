/* How many requests each route has answered. What is counted of a path outlives its servers. */
#include "http/internal.h"

#include "common/alloc.h"

static struct http_answers refused = {.path = "unknown"};
static _Atomic(struct http_answers *) first = &refused;

static struct http_answers *find(const char *path)
{
	struct http_answers *answers = atomic_load(&first);

	while (answers && strcmp(answers->path, path) != 0)
		answers = answers->next;
	return answers;
}

struct http_answers *http_answers_of(const char *path)
{
	struct http_answers *answers = find(path);

	if (answers)
		return answers;
	answers = xcalloc(1, sizeof(*answers));
	answers->path = xstrdup(path);
	answers->next = atomic_load(&first);
	atomic_store(&first, answers);
	return answers;
}

void http_answers_count(struct http_answers *answers, int status)
{
	unsigned class = (unsigned)status / 100,
		 shard = http_loop_here->index % HTTP_ANSWERS_SHARDS;

	if (!answers)
		answers = &refused;
	if (class < HTTP_STATUS_CLASSES)
		atomic_fetch_add_explicit(
			&answers->shards[shard].counts[class], 1, memory_order_relaxed);
}

void http_answers_for_each(http_answers_visit *visit, void *context)
{
	for (struct http_answers *answers = atomic_load(&first); answers; answers = answers->next) {
		uint64_t counts[HTTP_STATUS_CLASSES] = {0};

		for (int shard = 0; shard < HTTP_ANSWERS_SHARDS; shard++)
			for (int i = 0; i < HTTP_STATUS_CLASSES; i++)
				counts[i] += atomic_load_explicit(
					&answers->shards[shard].counts[i], memory_order_relaxed);
		visit(answers->path, counts, context);
	}
}
