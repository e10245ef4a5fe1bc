/*
 * modules: the process's own executable and libraries as libdw sees them, one session for unwinding
 * and symbols.
 *
 * libdw's session is not thread-safe, so that everything that uses it stands between modules_lock()
 * and modules_unlock(). What is mapped changes with dlopen and dlclose: modules_find() looks again
 * (at most every 100 ms) when an address belongs to no module it knows, or to one that may be gone,
 * and the loader says that something was loaded or unloaded since. Until it may look again, such an
 * address has no module: rather no name than another library's.
 *
 * Lock order: this lock is taken first, the loader's own (in dl_iterate_phdr) under it. So it is
 *             never taken by a thread that may hold the loader's lock: not from a signal handler,
 *             not from a malloc hook.
 * Errors:    where libdw cannot start, no module is known and addresses stay numbers.
 * Descriptors: files are opened with headroom (common/nofile.h), for a process that has run out of
 *              them, and none is kept.
 * Thread:    MT-Safe as described; not AS-Safe.
 */
#ifndef SICKBAY_PROBE_MODULES_H
#define SICKBAY_PROBE_MODULES_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Opens the session and reads the symbols of what is loaded, which takes some 50-100 ms; later
 * calls do nothing.
 */
int modules_init(void);
Dwfl *modules_lock(void); /* NULL before modules_init() or after it failed; unlock all the same */
void modules_unlock(void);
/*
 * With the lock held: the module PC lies in, or NULL. May report anew, which invalidates strings
 * and Dwfl_Modules.
 */
Dwfl_Module *modules_find(uintptr_t pc);
/*
 * Counts the times modules were reported anew: what was learned of addresses before may be stale.
 * Lock held.
 */
unsigned modules_generation(void);
/*
 * Reports anew if something was loaded or unloaded since, and it may look again. Returns whether what
 * was reported is what is there. Lock held, by an observer.
 */
bool modules_refresh(void);
/* Whether ADDRESS lies in an object as it was reported. Lock held. */
bool modules_maps(uintptr_t address);

#endif
