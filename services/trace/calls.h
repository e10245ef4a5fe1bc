/*
 * calls: the program's system calls and waits, as probe tells them, on their way into the trace.
 * Private to trace.
 */
#ifndef SICKBAY_TRACE_CALLS_H
#define SICKBAY_TRACE_CALLS_H

/* While stacks can be captured. */
void calls_listen(void);
void calls_unlisten(void);

#endif
