/*
 * files: log files, 50 a second, in a directory of the program's own below $TMPDIR or /tmp, which it
 * removes at its end. After a thousand files the first is written anew.
 *
 * What file-leak and file-fixed differ in is in leak.c and fixed.c, side by side.
 */
#ifndef SICKBAY_LEAKS_FILE_FILES_H
#define SICKBAY_LEAKS_FILE_FILES_H

#include "leaks/pair.h"

extern const struct pair file_pair;

/* ---- leak.c or fixed.c ---- */

extern const struct pair_variant file_variant;
/* Writes TEXT into a file of its own. Returns 0 or -errno. */
int write_log_file(const char *path, const char *text, struct pair_counts *counts);

#endif
