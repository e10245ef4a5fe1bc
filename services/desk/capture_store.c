#include "desk/capture_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/random.h"
#include "desk/capture_name.h"

#define PART_BEGIN ".desk-"
#define PART_END ".part"
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

static bool is_part(const char *name)
{
	size_t len_bytes = strlen(name);

	return strncmp(name, PART_BEGIN, strlen(PART_BEGIN)) == 0 &&
	       strcmp(name + len_bytes - strlen(PART_END), PART_END) == 0;
}

static void remove_if_left(int directory_fd, const char *part_name)
{
	int fd = openat(directory_fd, part_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(directory_fd, part_name, 0);
	close(fd);
}

/*
 * Never replaces TO. Shared folders of virtual machines may have no such rename: there it has both
 * names for a moment.
 */
static int move(int directory_fd, const char *from, const char *to)
{
	if (renameat2(directory_fd, from, directory_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (linkat(directory_fd, from, directory_fd, to, 0) != 0)
		return -errno;
	return unlinkat(directory_fd, from, 0) == 0 ? 0 : -errno;
}

void capture_store_clean(const struct capture_store *store)
{
	DIR *dir = opendir(store->directory);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (is_part(entry->d_name))
			remove_if_left(dirfd(dir), entry->d_name);
	closedir(dir);
}

static int64_t sum_bytes(const struct capture_store *store, bool with_parts)
{
	DIR *dir = opendir(store->directory);
	struct dirent *entry;
	int64_t total_bytes = 0;
	struct stat st;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if ((with_parts || !is_part(entry->d_name)) &&
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode))
			total_bytes += st.st_size;
	closedir(dir);
	return total_bytes;
}

int64_t capture_store_total_bytes(const struct capture_store *store)
{
	return sum_bytes(store, false);
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

bool capture_store_has(const struct capture_store *store, const char *name)
{
	int fd = open_directory(store);
	bool is_there = fd >= 0 && faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	if (fd >= 0)
		close(fd);
	return is_there;
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
	int fd, err = 0;

	if (!capture_label_is_good(label)) {
		snprintf(error->text, sizeof(error->text), CAPTURE_LABEL_RULE);
		return -EINVAL;
	}
	fd = open_beside(store, from);
	if (fd < 0)
		return explain(fd, from, error);
	if (capture_name_relabel(result, from, label) != 0) {
		close(fd);
		snprintf(error->text, sizeof(error->text),
			"With that the whole name would be too long; choose a shorter one.");
		return -EINVAL;
	}
	if (strcmp(from, result) != 0)
		err = move(fd, from, result);
	close(fd);
	return err ? explain(err, err == -EEXIST ? result : from, error) : 0;
}

/* ---- a capture under way ---- */

static int check_room(struct capture_part *part, struct capture_error *error)
{
	part->unchecked_bytes = 0;
	return sum_bytes(part->store, true) >= part->store->max_bytes
		       ? explain_full(part->store, error)
		       : 0;
}

static int open_part(struct capture_part *part)
{
	uint64_t number = 0;
	int err = random_fill(&number, sizeof(number));

	if (err)
		return err;
	snprintf(part->part_name, sizeof(part->part_name), PART_BEGIN "%016" PRIx64 PART_END,
		number);
	part->fd = openat(part->directory_fd, part->part_name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (part->fd < 0)
		return -errno;
	/* Where there are no locks, nobody gets one to remove it either. */
	flock(part->fd, LOCK_EX | LOCK_NB);
	return 0;
}

int capture_part_begin(const struct capture_store *store, const char *name,
	struct capture_part *part, struct capture_error *error)
{
	int err;

	*part = (struct capture_part){.store = store};
	snprintf(part->name, sizeof(part->name), "%s", name);
	err = check_room(part, error);
	if (err)
		return err;
	part->directory_fd = open_directory(store);
	if (part->directory_fd < 0)
		return capture_store_explain(store, part->directory_fd, error);
	err = open_part(part);
	if (!err)
		return 0;
	close(part->directory_fd);
	return capture_store_explain(store, err, error);
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

static void close_part(struct capture_part *part)
{
	close(part->fd);
	close(part->directory_fd);
}

int capture_part_keep(struct capture_part *part, struct capture_error *error)
{
	int err = move(part->directory_fd, part->part_name, part->name);

	if (err) {
		capture_part_drop(part);
		return explain(err, part->name, error);
	}
	close_part(part);
	return 0;
}

void capture_part_drop(struct capture_part *part)
{
	unlinkat(part->directory_fd, part->part_name, 0);
	close_part(part);
}
