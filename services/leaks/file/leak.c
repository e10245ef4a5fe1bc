/* file-leak: forgets to close what it opens. fixed.c does the same work without the fault. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "leaks/file/files.h"

const struct pair_variant file_variant = {
	.name = "file-leak",
	.does = "writes 50 log files a second, and closes none.",
	.listen = "127.0.0.1:6060",
};

int write_log_file(const char *path, const char *text, struct pair_counts *counts)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	counts->taken++;
	if (write(fd, text, strlen(text)) < 0)
		return -errno; /* FAULT: fd is not closed here ... */
	return 0;              /* FAULT: ... nor here, and from now on nobody knows its number */
}
