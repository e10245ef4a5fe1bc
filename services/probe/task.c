#include "probe/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/nofile.h"

#define STATUS_BYTES 4096

/* Reads at most SIZE_BYTES - 1 of a small file of /proc, which comes in one piece, and ends it. */
static int read_file(const char *path, char *text, size_t size_bytes)
{
	int fd = nofile_open(path, O_RDONLY);
	ssize_t len_bytes;
	int err = 0;

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	len_bytes = read(fd, text, size_bytes - 1);
	if (len_bytes < 0)
		err = -errno;
	text[len_bytes > 0 ? len_bytes : 0] = '\0';
	close(fd);
	return err;
}

static int read_task(pid_t tid, const char *name, char *text, size_t size_bytes)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, name);
	return read_file(path, text, size_bytes);
}

int probe_task_name(pid_t tid, char name[PROBE_NAME_BYTES])
{
	char text[PROBE_NAME_BYTES + 1];
	int err = read_task(tid, "comm", text, sizeof(text));

	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	snprintf(name, PROBE_NAME_BYTES, "%.*s", PROBE_NAME_BYTES - 1, text);
	return 0;
}

bool probe_task_blocks(pid_t tid, int signal)
{
	static const char key[] = "\nSigBlk:";
	char status[STATUS_BYTES];
	const char *line;

	if (read_task(tid, "status", status, sizeof(status)) != 0)
		return false;
	line = strstr(status, key);
	return line && strtoull(line + strlen(key), NULL, 16) >> (signal - 1) & 1;
}

int probe_task_sched(pid_t tid, struct probe_task_sched *sched)
{
	char text[96];
	char *end;
	int err = read_task(tid, "schedstat", text, sizeof(text));

	if (err)
		return err;
	sched->run_ns = strtoll(text, &end, 10);
	sched->delay_ns = strtoll(end, &end, 10);
	return *end == ' ' ? 0 : -EIO;
}

int64_t probe_task_count(void)
{
	static const char key[] = "\nThreads:";
	char status[STATUS_BYTES];
	const char *line;

	if (read_file("/proc/self/status", status, sizeof(status)) != 0)
		return -1;
	line = strstr(status, key);
	return line ? strtoll(line + strlen(key), NULL, 10) : -1;
}

int probe_task_for_each(void (*visit)(pid_t tid, void *context), void *context)
{
	int fd = nofile_open("/proc/self/task", O_RDONLY | O_DIRECTORY);
	DIR *dir;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.')
			visit((pid_t)strtol(entry->d_name, NULL, 10), context);
	closedir(dir);
	return 0;
}
