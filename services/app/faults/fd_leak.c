/* Step 6: every request opens files and forgets to close them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/fault.h"
#include "trace/trace.h"

#define FILES_PER_REQUEST 5
#define PATH_BYTES 256

struct open_file {
	int fd;
	char path[PATH_BYTES];
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below but directory */
static struct open_file *files;
static size_t file_count, file_cap;
static char directory[PATH_BYTES]; /* made by enter(), removed by undo() */

static int enter(bool fixed)
{
	const char *tmp = getenv("TMPDIR");
	int len_bytes = snprintf(
		directory, sizeof(directory), "%s/sickbay-XXXXXX", tmp && *tmp ? tmp : "/tmp");

	(void)fixed;
	/* Room for the files' own names must be left. */
	if (len_bytes >= PATH_BYTES - (int)sizeof("/sickbay-file-XXXXXX"))
		return -ENAMETOOLONG;
	return mkdtemp(directory) ? 0 : -errno;
}

static int remember(const struct open_file *file)
{
	if (file_count == file_cap) {
		size_t cap = file_cap ? 2 * file_cap : 64;
		struct open_file *grown = reallocarray(files, cap, sizeof(*files));

		if (!grown)
			return -ENOMEM;
		files = grown;
		file_cap = cap;
	}
	files[file_count++] = *file;
	return 0;
}

static void close_file(const struct open_file *file)
{
	close(file->fd);
	unlink(file->path);
}

static int create_files(struct fault_call *call)
{
	TRACE_FUNCTION();
	for (int i = 0; i < FILES_PER_REQUEST; i++) {
		struct open_file file;
		int err;

		snprintf(file.path, sizeof(file.path), "%.*s/sickbay-file-XXXXXX",
			PATH_BYTES - (int)sizeof("/sickbay-file-XXXXXX"), directory);
		file.fd = mkostemp(file.path, O_CLOEXEC);
		if (file.fd < 0)
			return fault_fail(call, -errno, "open %s", file.path);
		if (fault_is_fixed(call)) {
			close_file(&file);
			continue;
		}
		/* FAULT: remembered for undo(), never closed */
		pthread_mutex_lock(&files_lock);
		err = remember(&file);
		pthread_mutex_unlock(&files_lock);
		if (err) {
			close_file(&file);
			return fault_fail(call, err, "open %s", file.path);
		}
	}
	return 0;
}

static void undo(void)
{
	for (size_t i = 0; i < file_count; i++)
		close_file(&files[i]);
	free(files);
	files = NULL;
	file_count = file_cap = 0;
	rmdir(directory);
}

const struct fault fault_fd_leak = {
	.name = "fd leak",
	.does = "opens 5 files and keeps them open",
	.may_block = true,
	.enter = enter,
	.serve = create_files,
	.undo = undo,
};
