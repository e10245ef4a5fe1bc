/*
 * births: which threads begin and end while somebody traces. Private to trace.
 *
 * Shape:     records of RECORD_THREAD_START and RECORD_THREAD_END, in the order of the list of
 *            threads. Those that find no room are counted.
 * Thread:    births_ring() is read by who drains; births_dropped_count() is MT-Safe.
 */
#ifndef SICKBAY_TRACE_BIRTHS_H
#define SICKBAY_TRACE_BIRTHS_H

#include "trace/ring.h"

/* Once, before the first trace. */
void births_init(void);
struct ring *births_ring(void);
/* Since the process began. */
uint64_t births_dropped_count(void);

#endif
