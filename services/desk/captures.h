/*
 * captures: what lies in the captures directory, as far as the desk shows it.
 *
 * Shape:     regular files whose names have nothing but letters, digits, ".", "_" and "-", do not
 *            begin with a "." nor have "..", and are shorter than CAPTURE_NAME_BYTES; newest first.
 *            HIDDEN_COUNT: regular files that are not shown for their names, but for those that begin
 *            with a ".".
 * Returns:   captures_list() 0, or -errno where the directory could not be read.
 * Ownership: the caller frees the list with free(); it is NULL where there is none.
 * Thread:    MT-Safe; may block on the disk.
 */
#ifndef SICKBAY_DESK_CAPTURES_H
#define SICKBAY_DESK_CAPTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_NAME_BYTES 128

struct capture {
	char name[CAPTURE_NAME_BYTES];
	int64_t size_bytes;
	int64_t modified_ns; /* since 1970, UTC */
};

int captures_list(const char *directory, struct capture **captures, size_t *count,
	size_t *hidden_count) __attribute__((warn_unused_result));
/* Whether it is a name of that shape; there may be no such file. */
bool capture_name_is_plain(const char *name);

#endif
