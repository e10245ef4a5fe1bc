/* What /proc/self knows, read with headroom above the descriptor limit. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int64_t process_fd_count(void)
{
	int64_t count = 0;
	int fd = nofile_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	DIR *dir;

	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && strtoll(entry->d_name, NULL, 10) != fd)
			count++;
	closedir(dir);
	return count;
}

int process_cmdline(struct strbuf *out)
{
	return strbuf_read_file(out, "/proc/self/cmdline", PROC_FILE_MAX_BYTES);
}
