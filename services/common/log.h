/*
 * log: the service's lines on stderr, "2018/07/12 15:03:44 text" in local time, one write(2) a
 * line.
 *
 * A line is out of the process before the call returns: nothing is lost in a crash, and lines of
 * several threads never mix. Lines longer than LOG_LINE_BYTES are cut. A reader that stalls or is
 * gone costs the line, never the thread's errno, and at most 50 ms once until it reads again.
 *
 * Thread:    MT-Safe (the formatted timestamp is cached per thread and second).
 * Source:    the format is that of Go's log package with its standard flags.
 */
#ifndef SICKBAY_COMMON_LOG_H
#define SICKBAY_COMMON_LOG_H

#include <stddef.h>

#define LOG_LINE_BYTES 4096

void log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same without formatting: for the lines of every request. */
void log_puts(const char *text);
/*
 * Writes a block of many lines as it is, without a timestamp (a stack, a dump), a few KiB of whole
 * lines at a time; no other thread's line comes in between.
 */
void log_block(const char *text, size_t len_bytes);

#endif
