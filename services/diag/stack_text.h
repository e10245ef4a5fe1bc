/*
 * stack_text: stacks as the text that Go prints them as.
 *
 * Shape:     stacks come innermost first, as addresses from probe/capture.h; inlined calls are
 *            lines of their own.
 * Thread:    MT-Safe; not AS-Safe (symbolizes).
 * Source:    Go's runtime/pprof, debug=1 (addresses, comments), and its panic and debug=2 output
 *            (frames).
 */
#ifndef SICKBAY_DIAG_STACK_TEXT_H
#define SICKBAY_DIAG_STACK_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

/* " 0x55... 0x7f...\n" */
void stack_text_addresses(struct strbuf *out, const uintptr_t *pcs, size_t pc_count);
/* "#\t0x55...\tleak_memory+0x41\t/src/.../memory_leak.c:41\n" a frame */
void stack_text_comments(struct strbuf *out, const uintptr_t *pcs, size_t pc_count);
/* "leak_memory\n\t/src/.../memory_leak.c:41 +0x41\n" a frame */
void stack_text_frames(struct strbuf *out, const uintptr_t *pcs, size_t pc_count);

/* As a person says it: 350 ms, 1 second, 41 seconds, 2 minutes. */
void stack_text_duration(struct strbuf *out, int64_t duration_ns);

#endif
