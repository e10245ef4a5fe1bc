#include "desk/capture_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "desk/capture_name.h"

#define PART_NAME_BYTES (CAPTURE_NAME_BYTES + 8)
#define MIB (1024 * 1024)

/* ---- sentences ---- */

static int explain(int err, const char *name, struct capture_error *error)
{
	char *text = error->text;
	size_t size_bytes = sizeof(error->text);

	switch (err) {
	case -ENOENT:
		snprintf(text, size_bytes, "There is no capture %s (any more).", name);
		break;
	case -EEXIST:
		snprintf(text, size_bytes, "There is a capture %s already; choose another name.",
			name);
		break;
	case -EPERM:
	case -EACCES:
		snprintf(text, size_bytes,
			"%s belongs to somebody else, the toolbox or a user of this machine: change "
			"it from there.",
			name);
		break;
	case -ENOSPC:
		snprintf(text, size_bytes,
			"The disk is full, and %s was not kept; delete captures, or other files.",
			name);
		break;
	default:
		snprintf(text, size_bytes, "%s: %s.", name, strerror(-err));
	}
	return err;
}

int capture_store_explain(const struct capture_store *store, int err, struct capture_error *error)
{
	if (err == -ENOSPC)
		return explain(err, "the capture", error);
	snprintf(error->text, sizeof(error->text),
		"The desk cannot write to %s, where captures lie (%s). On the machine that runs the "
		"stack, type: chmod 1777 profiles/captures",
		store->directory, strerror(-err));
	return err;
}

static int explain_full(const struct capture_store *store, struct capture_error *error)
{
	snprintf(error->text, sizeof(error->text),
		"The captures fill all of the %lld MiB that they may (DESK_CAPTURES_MAX_MIB): delete "
		"some first.",
		(long long)(store->max_bytes / MIB));
	return -EDQUOT;
}

/* ---- the directory ---- */

static int open_directory(const struct capture_store *store)
{
	int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void name_part(char part_name[PART_NAME_BYTES], const char *name)
{
	snprintf(part_name, PART_NAME_BYTES, ".%s.part", name);
}

static bool is_part(const char *name)
{
	size_t len_bytes = strlen(name), ending_bytes = strlen(".part");

	return name[0] == '.' && len_bytes > ending_bytes &&
	       strcmp(name + len_bytes - ending_bytes, ".part") == 0;
}

void capture_store_clean(const struct capture_store *store)
{
	DIR *dir = opendir(store->directory);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (is_part(entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
}

int64_t capture_store_total_bytes(const struct capture_store *store)
{
	DIR *dir = opendir(store->directory);
	struct dirent *entry;
	int64_t total_bytes = 0;
	struct stat st;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode))
			total_bytes += st.st_size;
	closedir(dir);
	return total_bytes;
}

/* Opens the directory of a capture that there is. */
static int open_beside(const struct capture_store *store, const char *name)
{
	int fd = capture_name_is_plain(name) ? open_directory(store) : -ENOENT;
	struct stat st;

	if (fd >= 0 && (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -ENOENT;
	}
	return fd;
}

int capture_store_delete(
	const struct capture_store *store, const char *name, struct capture_error *error)
{
	int fd = open_beside(store, name), err = 0;

	if (fd < 0)
		return explain(fd, name, error);
	if (unlinkat(fd, name, 0) != 0)
		err = -errno;
	close(fd);
	return err ? explain(err, name, error) : 0;
}

int capture_store_rename(const struct capture_store *store, const char *from, const char *label,
	char result[CAPTURE_NAME_BYTES], struct capture_error *error)
{
	const char *ending = capture_name_ending(from);
	int fd, err = 0;

	if (!capture_label_is_good(label)) {
		snprintf(error->text, sizeof(error->text), CAPTURE_LABEL_RULE);
		return -EINVAL;
	}
	fd = open_beside(store, from);
	if (fd < 0)
		return explain(fd, from, error);
	snprintf(result, CAPTURE_NAME_BYTES, "%s%s", label, ending);
	if (renameat2(fd, from, fd, result, RENAME_NOREPLACE) != 0)
		err = -errno;
	close(fd);
	return err ? explain(err, err == -EEXIST ? result : from, error) : 0;
}

/* ---- a capture under way ---- */

static int check_room(struct capture_part *part, struct capture_error *error)
{
	part->unchecked_bytes = 0;
	return capture_store_total_bytes(part->store) >= part->store->max_bytes
		       ? explain_full(part->store, error)
		       : 0;
}

int capture_part_begin(const struct capture_store *store, const char *name,
	struct capture_part *part, struct capture_error *error)
{
	char part_name[PART_NAME_BYTES];
	int err;

	*part = (struct capture_part){.store = store};
	snprintf(part->name, sizeof(part->name), "%s", name);
	err = check_room(part, error);
	if (err)
		return err;
	part->directory_fd = open_directory(store);
	if (part->directory_fd < 0)
		return capture_store_explain(store, part->directory_fd, error);
	name_part(part_name, name);
	part->fd = openat(part->directory_fd, part_name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (part->fd >= 0)
		return 0;
	err = -errno;
	close(part->directory_fd);
	return err == -EEXIST ? explain(err, name, error)
			      : capture_store_explain(store, err, error);
}

int capture_part_write(
	struct capture_part *part, const void *data, size_t len_bytes, struct capture_error *error)
{
	const char *at = data;

	part->unchecked_bytes += (int64_t)len_bytes;
	if (part->unchecked_bytes > part->store->max_bytes / 1024) {
		int err = check_room(part, error);

		if (err)
			return err;
	}
	while (len_bytes > 0) {
		ssize_t written_bytes = write(part->fd, at, len_bytes);

		if (written_bytes < 0 && errno == EINTR)
			continue;
		if (written_bytes < 0)
			return explain(-errno, part->name, error);
		at += written_bytes;
		len_bytes -= (size_t)written_bytes;
		part->size_bytes += written_bytes;
	}
	return 0;
}

int capture_part_keep(struct capture_part *part, struct capture_error *error)
{
	char part_name[PART_NAME_BYTES];
	int err = 0;

	name_part(part_name, part->name);
	if (renameat2(part->directory_fd, part_name, part->directory_fd, part->name,
		    RENAME_NOREPLACE) != 0)
		err = explain(-errno, part->name, error);
	capture_part_drop(part);
	return err;
}

void capture_part_drop(struct capture_part *part)
{
	char part_name[PART_NAME_BYTES];

	name_part(part_name, part->name);
	unlinkat(part->directory_fd, part_name, 0);
	close(part->fd);
	close(part->directory_fd);
}
