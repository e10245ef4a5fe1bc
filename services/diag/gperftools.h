/*
 * gperftools: the parts of it that diag uses, as weak references: a build without tcmalloc (SAN=1)
 * links, and finds them NULL. Not for use outside diag.
 *
 * Source:    gperftools 2.10. What it exports only under C++ names is declared by those.
 */
#ifndef SICKBAY_DIAG_GPERFTOOLS_H
#define SICKBAY_DIAG_GPERFTOOLS_H

#include <gperftools/heap-profiler.h>
#include <gperftools/malloc_extension_c.h>
#include <gperftools/malloc_hook_c.h>
#include <signal.h>
#include <stdint.h>

#pragma weak MallocHook_AddNewHook
#pragma weak MallocHook_AddDeleteHook
#pragma weak MallocExtension_GetNumericProperty
#pragma weak HeapProfilerStart
#pragma weak HeapProfilerStop
#pragma weak IsHeapProfilerRunning
#pragma weak GetHeapProfile

struct gperftools_token;
typedef void gperftools_on_prof(int signal, siginfo_t *info, void *context, void *arg);

/* ProfileHandlerToken* ProfileHandlerRegisterCallback(ProfileHandlerCallback, void*) */
extern struct gperftools_token *gperftools_register_callback(gperftools_on_prof *callback,
	void *arg) __asm__("_Z30ProfileHandlerRegisterCallbackPFviP9siginfo_tPvS1_ES1_")
	__attribute__((weak));
/* void ProfileHandlerUnregisterCallback(ProfileHandlerToken*) */
extern void gperftools_unregister_callback(struct gperftools_token *token) __asm__(
	"_Z32ProfileHandlerUnregisterCallbackP19ProfileHandlerToken") __attribute__((weak));

/*
 * The exact heap profiler's flags: after so many bytes it writes a file of its own accord; 0 keeps
 * it from that.
 */
extern int64_t gperftools_flag_allocation_interval __asm__(

	"_ZN61FLAG__namespace_do_not_use_directly_use_DECLARE_int64_instead"
	"38FLAGS_heap_profile_allocation_intervalE") __attribute__((weak));
extern int64_t gperftools_flag_inuse_interval __asm__(
	"_ZN61FLAG__namespace_do_not_use_directly_use_DECLARE_int64_instead"
	"33FLAGS_heap_profile_inuse_intervalE") __attribute__((weak));

#endif
