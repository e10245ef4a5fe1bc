/*
 * capture_store: what the desk changes in the captures directory. Others write there too, at any time:
 * nothing of it is remembered from one call to the next.
 *
 * Shape:     a capture under way is a hidden file, ".desk-NUMBER.part", which becomes NAME when it is
 *            whole, and which its desk keeps locked until then: another desk may use the same directory.
 *                capture_part_begin() -> capture_part_write() ... -> capture_part_keep()
 *                                               \______________________-> capture_part_drop()
 *            All files of the directory together stay below MAX_BYTES, to within a thousandth for each
 *            capture under way; nothing is ever deleted to make room.
 * Returns:   0 or -errno and a sentence that says what to do: -EINVAL for a name that nobody may give,
 *            -ENOENT, -EEXIST, -EACCES or -EPERM, -EDQUOT for the bound, -ENOSPC for the disk.
 * Thread:    MT-Safe, a part one thread at a time; blocks on the disk.
 */
#ifndef SICKBAY_DESK_CAPTURE_STORE_H
#define SICKBAY_DESK_CAPTURE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desk/captures.h"

struct capture_store {
	const char *directory;
	int64_t max_bytes;
};

struct capture_error {
	char text[1024];
};

/* Takes the pieces of a capture, one after the other. Returns 0 or -errno and a sentence. */
typedef int capture_sink(
	void *context, const void *piece, size_t len_bytes, struct capture_error *error);

struct capture_part {
	const struct capture_store *store;
	char name[CAPTURE_NAME_BYTES];
	char part_name[CAPTURE_NAME_BYTES];
	int directory_fd, fd;
	int64_t size_bytes, unchecked_bytes;
};

/* Removes the parts that a desk left which was killed. */
void capture_store_clean(const struct capture_store *store);
/* Why the directory cannot be read or written. Returns ERR. */
int capture_store_explain(const struct capture_store *store, int err, struct capture_error *error);
/* Of all files, hidden ones too, but for what is under way; 0 where there is no directory. */
int64_t capture_store_total_bytes(const struct capture_store *store);
/* Whether the directory has something of that name. */
bool capture_store_has(const struct capture_store *store, const char *name);
int capture_store_delete(const struct capture_store *store, const char *name,
	struct capture_error *error) __attribute__((warn_unused_result));
/* RESULT: capture_name_relabel(). What is there is never replaced. */
int capture_store_rename(const struct capture_store *store, const char *from, const char *label,
	char result[CAPTURE_NAME_BYTES], struct capture_error *error)
	__attribute__((warn_unused_result));

/* NAME is plain. Where it fails there is nothing to drop. */
int capture_part_begin(const struct capture_store *store, const char *name,
	struct capture_part *part, struct capture_error *error) __attribute__((warn_unused_result));
int capture_part_write(struct capture_part *part, const void *data, size_t len_bytes,
	struct capture_error *error) __attribute__((warn_unused_result));
/* The part is over, also where it could not be kept. */
int capture_part_keep(struct capture_part *part, struct capture_error *error)
	__attribute__((warn_unused_result));
void capture_part_drop(struct capture_part *part);

#endif
