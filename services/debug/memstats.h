/*
 * memstats: Go's runtime.MemStats, as far as tcmalloc has the equivalent. README.md of this folder
 * says which field comes from where, and which have none.
 *
 * Thread: MT-Safe; waits for the heap sampler's ring, so not on an event loop.
 */
#ifndef SICKBAY_DEBUG_MEMSTATS_H
#define SICKBAY_DEBUG_MEMSTATS_H

#include "common/strbuf.h"

/* A JSON object. */
void memstats_json(struct strbuf *out);
/* "# Alloc = 4180632" lines, as at the end of Go's heap?debug=1. */
void memstats_print(struct strbuf *out);

#endif
