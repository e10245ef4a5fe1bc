/*
 * trace_requests: what becomes of requests, as the trace has it. Private to services/debug.
 *
 * Shape:     a slice of no thread per request, with its method, path and status; a slice for each of
 *            its turns on the loop and on a worker; arrows from the connection's acceptance to the
 *            first turn, and from turn to turn to the answer.
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_DEBUG_TRACE_REQUESTS_H
#define SICKBAY_DEBUG_TRACE_REQUESTS_H

#define TRACE_HEAP_COUNTER "heap in use"

void trace_requests_watch(void);
void trace_requests_unwatch(void);

#endif
