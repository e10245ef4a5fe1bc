/*
 * progress: which labs the attendee has answered and which are mended, kept in a file.
 *
 *     03-it-grows answered verified
 *     05-a-little-slower answered
 *
 * Shape:     a lab's name has two digits, "-", and small letters, digits and "-".
 * Returns:   0 or -errno. A file that is not there is no progress; lines that cannot be read are none.
 * Durable:   the file is written beside, synced and renamed: whatever ends the program, it is the old
 *            one or the new one.
 * Thread:    one at a time per struct.
 */
#ifndef SICKBAY_DESK_PROGRESS_H
#define SICKBAY_DESK_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

#define PROGRESS_LABS_MAX 32
#define PROGRESS_NAME_BYTES 64

struct progress {
	size_t count;
	struct progress_lab {
		char name[PROGRESS_NAME_BYTES];
		bool answered, verified;
	} labs[PROGRESS_LABS_MAX];
};

bool progress_is_name(const char *name);
/* NULL: there are too many. */
struct progress_lab *progress_of(struct progress *progress, const char *name);

int progress_load(const char *path, struct progress *progress) __attribute__((warn_unused_result));
int progress_save(const char *path, const struct progress *progress)
	__attribute__((warn_unused_result));
/* {"labs":{"03-it-grows":{"answered":true,"verified":false}}} */
void progress_add_json(const struct progress *progress, struct strbuf *out);

#endif
