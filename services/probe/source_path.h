/*
 * source_path: the one spelling of a source file's path. Private to probe.
 *
 * Shape:     DIRECTORY (may be NULL) and FILE as DWARF has them become one path without "./", "//"
 *            and "dir/../". It is absolute if one of the two is; a ".." that leads above a relative
 *            start is dropped.
 * Errors:    a path that does not fit is cut; no FILE gives "".
 * Thread:    MT-Safe and AS-Safe.
 */
#ifndef SICKBAY_PROBE_SOURCE_PATH_H
#define SICKBAY_PROBE_SOURCE_PATH_H

#define SOURCE_PATH_BYTES 1024

void source_path_absolute(char out[SOURCE_PATH_BYTES], const char *directory, const char *file);

#endif
