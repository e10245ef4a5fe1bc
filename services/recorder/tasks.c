#include "recorder/tasks.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/parse.h"

static uint64_t hash_tid(int32_t tid)
{
	return hash_u64(HASH_SEED, (uint32_t)tid);
}

struct moment {
	int32_t host_tid;
	uint64_t at_ns;
};

static bool has_host_tid(const void *context, size_t entry, const void *key)
{
	const struct tasks *tasks = context;
	const struct task *task = &tasks->items[entry];
	const struct moment *moment = key;

	return task->host_tid == moment->host_tid && task->born_ns <= moment->at_ns &&
	       moment->at_ns <= task->gone_ns;
}

static bool is_local_tid(const void *context, size_t entry, const void *key)
{
	const struct tasks *tasks = context;

	return tasks->items[entry].local_tid == *(const int32_t *)key;
}

void tasks_add(struct tasks *tasks, struct task task)
{
	if (tasks->count == tasks->capacity) {
		tasks->capacity = tasks->capacity ? tasks->capacity * 2 : 64;
		tasks->items = xrealloc(tasks->items, tasks->capacity, sizeof(*tasks->items));
	}
	tasks->items[tasks->count] = task;
	hash_index_add(&tasks->by_host, hash_tid(task.host_tid), tasks->count);
	tasks_tell_local(tasks, &tasks->items[tasks->count++], task.local_tid);
}

void tasks_tell_local(struct tasks *tasks, struct task *task, int32_t local_tid)
{
	task->local_tid = local_tid;
	if (task->is_patient && local_tid)
		hash_index_add(
			&tasks->by_local, hash_tid(local_tid), (size_t)(task - tasks->items));
}

struct task *tasks_find(const struct tasks *tasks, int32_t host_tid, uint64_t at_ns)
{
	const struct moment moment = {host_tid, at_ns};
	size_t entry = hash_index_find(
		&tasks->by_host, hash_tid(host_tid), has_host_tid, tasks, &moment);

	return entry == HASH_INDEX_NONE ? NULL : &tasks->items[entry];
}

int32_t tasks_host_tid(const struct tasks *tasks, int32_t local_tid)
{
	size_t entry = hash_index_find(
		&tasks->by_local, hash_tid(local_tid), is_local_tid, tasks, &local_tid);

	return entry == HASH_INDEX_NONE ? 0 : tasks->items[entry].host_tid;
}

/* Takes the line apart. */
static int parse_line(char *line, struct task *task)
{
	static const int64_t max[] = {TASK_TID_MAX - 1, TASK_TID_MAX - 1, INT_MAX, INT64_MAX};
	int64_t numbers[4];

	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < 4; i++) {
		const char *word = strsep(&line, " ");

		if (!word || parse_int(word, 0, max[i], &numbers[i]) != 0)
			return -EBADMSG;
	}
	if (line)
		return -EBADMSG;
	*task = (struct task){(int32_t)numbers[0], (int32_t)numbers[1], numbers[2] == 0,
		(uint64_t)numbers[3], TASK_ALIVE};
	return 0;
}

int tasks_read(struct tasks *tasks, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[96];
	int err = 0;

	if (!file)
		return -errno;
	while (!err && fgets(line, sizeof(line), file)) {
		struct task task;

		err = parse_line(line, &task);
		if (!err)
			tasks_add(tasks, task);
	}
	if (!err && ferror(file))
		err = -EIO;
	fclose(file);
	return err;
}

void tasks_free(struct tasks *tasks)
{
	free(tasks->items);
	hash_index_free(&tasks->by_host);
	hash_index_free(&tasks->by_local);
}
