#include "desk/captures.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/clock.h"

#define NAME_BYTES_ALLOWED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

bool capture_name_is_plain(const char *name)
{
	size_t len_bytes = strspn(name, NAME_BYTES_ALLOWED);

	return len_bytes > 0 && name[0] != '.' && name[len_bytes] == '\0' &&
	       len_bytes < CAPTURE_NAME_BYTES && !strstr(name, "..");
}

/* Returns whether it is one to show. */
static bool look_at(
	int directory_fd, const char *name, struct capture *capture, size_t *hidden_count)
{
	struct stat st;

	if (name[0] == '.' || fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		!S_ISREG(st.st_mode))
		return false;
	if (!capture_name_is_plain(name)) {
		++*hidden_count;
		return false;
	}
	memcpy(capture->name, name, strlen(name) + 1);
	capture->size_bytes = st.st_size;
	capture->modified_ns = st.st_mtim.tv_sec * CLOCK_NS_PER_SEC + st.st_mtim.tv_nsec;
	return true;
}

static int newest_first(const void *left, const void *right)
{
	const struct capture *a = left, *b = right;

	if (a->modified_ns != b->modified_ns)
		return a->modified_ns < b->modified_ns ? 1 : -1;
	return strcmp(a->name, b->name);
}

int captures_list(
	const char *directory, struct capture **captures, size_t *count, size_t *hidden_count)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t cap = 0;

	*captures = NULL;
	*count = *hidden_count = 0;
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (*count == cap) {
			cap = cap ? 2 * cap : 16;
			*captures = xrealloc(*captures, cap, sizeof(**captures));
		}
		*count += look_at(dirfd(dir), entry->d_name, &(*captures)[*count], hidden_count);
	}
	closedir(dir);
	if (*count)
		qsort(*captures, *count, sizeof(**captures), newest_first);
	return 0;
}
