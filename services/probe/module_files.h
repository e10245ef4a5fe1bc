/*
 * module_files: how libdw gets at the files of this process's modules. Private to probe.
 *
 * Errors:    at the descriptor limit, files are opened with headroom (common/nofile.h).
 * Ownership: libdw's, but for the descriptor that module_files_read_debuginfo() takes back.
 * Thread:    with the modules lock held; not AS-Safe.
 */
#ifndef SICKBAY_PROBE_MODULE_FILES_H
#define SICKBAY_PROBE_MODULE_FILES_H

#include <elfutils/libdwfl.h>

/* The module that is no file. */
#define MODULE_VDSO_NAME "[vdso]"

extern const Dwfl_Callbacks module_files_callbacks;

/* The program's own path, for its module's name; "" if it cannot be read. */
const char *module_files_program_path(void);
/*
 * Reads MODULE's debugging information and closes the descriptor that libdw would keep of it for
 * good, for everybody to see in lsof. When the module goes, libdw closes that number again: only
 * for modules that stay.
 */
void module_files_read_debuginfo(Dwfl_Module *module);

#endif
