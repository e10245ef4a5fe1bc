#include "recorder/tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/parse.h"

static uint64_t hash_tid(int32_t tid)
{
	return hash_u64(HASH_SEED, (uint32_t)tid);
}

static bool is_host_tid(const void *context, size_t entry, const void *key)
{
	const struct tasks *tasks = context;

	return tasks->items[entry].host_tid == *(const int32_t *)key;
}

static bool is_local_tid(const void *context, size_t entry, const void *key)
{
	const struct tasks *tasks = context;

	return tasks->items[entry].local_tid == *(const int32_t *)key;
}

bool tasks_add(struct tasks *tasks, struct task task)
{
	if (tasks_find(tasks, task.host_tid))
		return false;
	if (tasks->count == tasks->capacity) {
		tasks->capacity = tasks->capacity ? tasks->capacity * 2 : 64;
		tasks->items = xrealloc(tasks->items, tasks->capacity, sizeof(*tasks->items));
	}
	tasks->items[tasks->count] = task;
	hash_index_add(&tasks->by_host, hash_tid(task.host_tid), tasks->count);
	if (task.is_patient && task.local_tid)
		hash_index_add(&tasks->by_local, hash_tid(task.local_tid), tasks->count);
	tasks->count++;
	return true;
}

const struct task *tasks_find(const struct tasks *tasks, int32_t host_tid)
{
	size_t entry = hash_index_find(
		&tasks->by_host, hash_tid(host_tid), is_host_tid, tasks, &host_tid);

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
	int64_t numbers[3];

	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < 3; i++) {
		const char *word = strsep(&line, " ");

		if (!word || parse_int(word, 0, TASK_TID_MAX - 1, &numbers[i]) != 0)
			return -EBADMSG;
	}
	if (line)
		return -EBADMSG;
	*task = (struct task){(int32_t)numbers[0], (int32_t)numbers[1], numbers[2] == 0};
	return 0;
}

int tasks_read(struct tasks *tasks, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[64];
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
