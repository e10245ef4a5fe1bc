/* What /proc/self knows, read with headroom above the descriptor limit. */
#include <stdlib.h>
#include <string.h>

#include "common/nofile.h"
#include "debug/internal.h"

#define PROC_FILE_MAX_BYTES (1024 * 1024)

int64_t process_thread_count(void)
{
	struct strbuf status = STRBUF_INIT;
	int64_t count = -1;
	const char *line;

	if (strbuf_read_file(&status, "/proc/self/status", PROC_FILE_MAX_BYTES) == 0) {
		line = strstr(status.data, "\nThreads:");
		if (line)
			count = strtoll(line + strlen("\nThreads:"), NULL, 10);
	}
	strbuf_free(&status);
	return count;
}

static void count_fd(int fd, void *count)
{
	(void)fd;
	(*(int64_t *)count)++;
}

int64_t process_fd_count(void)
{
	int64_t count = 0;

	return nofile_for_each(count_fd, &count) == 0 ? count : -1;
}

int process_cmdline(struct strbuf *out)
{
	return strbuf_read_file(out, "/proc/self/cmdline", PROC_FILE_MAX_BYTES);
}
