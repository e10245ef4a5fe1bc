#include "read_dump.h"

#include "test.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "probe/symbolize.h"

#define AWAIT_NS (20 * CLOCK_NS_PER_SEC)

static void keep(const struct probe_dumped *dumped, void *context)
{
	struct read_dump *dump = context;

	if (dump->count == dump->capacity) {
		dump->capacity = dump->capacity ? 2 * dump->capacity : 16;
		dump->threads = xrealloc(dump->threads, dump->capacity, sizeof(*dump->threads));
	}
	dump->threads[dump->count++] = *dumped;
}

struct read_dump read_dump_take(enum probe_dump_scope scope)
{
	struct read_dump dump = {0};
	int64_t start_ns = clock_monotonic_ns();

	assert_int_equal(probe_dump(scope, keep, &dump), 0);
	dump.taken_ns = clock_monotonic_ns() - start_ns;
	return dump;
}

void read_dump_free(struct read_dump *dump)
{
	free(dump->threads);
	*dump = (struct read_dump){0};
}

const struct probe_dumped *read_dump_named(const struct read_dump *dump, const char *name)
{
	const struct probe_dumped *found = NULL;

	for (size_t i = 0; i < dump->count; i++)
		if (strcmp(dump->threads[i].name, name) == 0) {
			assert_null(found);
			found = &dump->threads[i];
		}
	return found;
}

const struct probe_dumped *read_dump_tid(const struct read_dump *dump, pid_t tid)
{
	const struct probe_dumped *found = NULL;

	for (size_t i = 0; i < dump->count; i++)
		if (dump->threads[i].tid == tid) {
			assert_null(found);
			found = &dump->threads[i];
		}
	return found;
}

const char *read_dump_function(uintptr_t pc)
{
	return probe_symbolize(pc)->frames[0].function;
}

bool read_dump_has_frame(const struct probe_dumped *thread, const char *function)
{
	for (size_t i = 0; i < thread->pc_count; i++)
		if (strcmp(read_dump_function(thread->pcs[i]), function) == 0)
			return true;
	return false;
}

struct named {
	char name[PROBE_NAME_BYTES];
	void (*body)(void);
};

static void *named_main(void *arg)
{
	struct named named = *(struct named *)arg;

	free(arg);
	pthread_setname_np(pthread_self(), named.name);
	named.body();
	return NULL;
}

pthread_t named_thread_start(const char *name, void (*body)(void))
{
	struct named *named = xcalloc(1, sizeof(*named));
	pthread_t thread;

	strncpy(named->name, name, sizeof(named->name) - 1);
	named->body = body;
	assert_int_equal(pthread_create(&thread, NULL, named_main, named), 0);
	return thread;
}

void named_thread_await(const char *name, const char *function)
{
	int64_t end_ns = clock_monotonic_ns() + AWAIT_NS;
	bool waits = false;

	while (!waits) {
		struct read_dump dump = read_dump_take(PROBE_DUMP_ALL);
		const struct probe_dumped *thread = read_dump_named(&dump, name);

		if (!function)
			waits = thread && !thread->wait.call;
		else
			waits = thread && thread->in_system_call && thread->wait.call &&
				strcmp(thread->wait.call->function, function) == 0;
		read_dump_free(&dump);
		if (!waits && clock_monotonic_ns() > end_ns)
			fail_msg("thread %s never waits in %s", name,
				function ? function : "nothing");
	}
}
