#include "leaks/file/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define FILES_PER_SECOND 50
#define FILES_KEPT 1000
#define PATH_BYTES 256
#define LONGEST_NAME "/logfile_999.txt"
#define TEXT "something done\n"

static char directory[PATH_BYTES - sizeof(LONGEST_NAME)];
static unsigned file_number;

static void file_path(char path[PATH_BYTES], unsigned number)
{
	snprintf(path, PATH_BYTES, "%s/logfile_%u.txt", directory, number);
}

static int begin(const struct pair_settings *settings)
{
	const char *tmp = getenv("TMPDIR");
	int len_bytes = snprintf(directory, sizeof(directory), "%s/%s-XXXXXX",
		tmp && *tmp ? tmp : "/tmp", file_variant.name);

	(void)settings;
	if (len_bytes < (int)sizeof(directory) && mkdtemp(directory))
		return 0;
	if (len_bytes >= (int)sizeof(directory))
		errno = ENAMETOOLONG;
	log_printf("cannot make the directory %s: %s; set TMPDIR to one that can be written",
		directory, strerror(errno));
	return -errno;
}

static int write_next_log_file(struct pair_counts *counts)
{
	char path[PATH_BYTES];
	int err;

	file_path(path, file_number++ % FILES_KEPT);
	err = write_log_file(path, TEXT, counts);
	if (err == -EMFILE)
		log_printf("open %s: too many open files: %lld were opened, %lld closed", path,
			(long long)counts->taken, (long long)counts->given_back);
	else if (err)
		log_printf("cannot write %s: %s", path, strerror(-err));
	if (err)
		counts->failures++;
	return err;
}

static void end(void)
{
	char path[PATH_BYTES];

	for (unsigned i = 0; i < file_number && i < FILES_KEPT; i++) {
		file_path(path, i);
		unlink(path);
	}
	if (rmdir(directory) != 0)
		log_printf("cannot remove %s: %s", directory, strerror(errno));
}

static void say_start(FILE *out, const struct measure *now)
{
	fprintf(out, "Open file descriptors: %lld\n", (long long)now->fd_count);
}

static void say_state(FILE *out, const struct measure *now, const struct pair_counts *counts)
{
	fprintf(out, "Open FDs: %lld  |  Files opened: %lld", (long long)now->fd_count,
		(long long)counts->taken);
	if (counts->given_back)
		fprintf(out, "  |  Files closed: %lld", (long long)counts->given_back);
	fputc('\n', out);
}

static int64_t held(const struct measure *now)
{
	return now->fd_count;
}

const struct pair file_pair = {
	.variant = &file_variant,
	.per_second = FILES_PER_SECOND,
	.begin = begin,
	.act = write_next_log_file,
	.end = end,
	.say_start = say_start,
	.say_state = say_state,
	.held = held,
	.leak = "File descriptor leak detected!",
	.no_leak = "File descriptors stable",
};
