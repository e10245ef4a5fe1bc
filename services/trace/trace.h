/*
 * trace: the emitters. What a program says of itself while somebody traces it; see session.h for who
 * listens.
 *
 *     static int create_files(...)
 *     {
 *             TRACE_FUNCTION();                       a slice, as long as the function runs
 *             ...
 *             trace_instant("cache emptied");
 *             trace_number("entries", count);         a detail of what was said last
 *
 * Shape:     slices nest within their thread. Those that belong to no thread, such as a request that
 *            waits for a worker, have a number of their own (trace_async_*). What carries the same
 *            flow number is joined by arrows. Names and keys are kept as pointers: they must be
 *            literals, or outlive the trace. Texts are copied, cut at TRACE_TEXT_MAX_BYTES.
 * Cost:      one predictable branch while nobody traces. Else a record in a ring of the thread's
 *            own: no lock, no allocation, no system call.
 * Bounds:    a ring that is full drops and counts. A trace has a budget: beyond it, outermost slices
 *            are left out whole, with all that happens in them, and counted; far beyond it, what
 *            happens in those that are recorded is dropped too.
 * Thread:    MT-Safe and AS-Safe; what a signal handler says within an emitter is dropped. Threads
 *            that observe (probe/thread.h) say nothing.
 */
#ifndef SICKBAY_TRACE_TRACE_H
#define SICKBAY_TRACE_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TRACE_TEXT_MAX_BYTES 256

extern atomic_bool trace_listening; /* the session's; read it with trace_is_on() */

static inline bool trace_is_on(void)
{
	return __builtin_expect(
		atomic_load_explicit(&trace_listening, memory_order_relaxed), false);
}

/* ---- what the calls below do when somebody listens ---- */

void trace_emit_begin(const char *name);
void trace_emit_begin_of(const char *name, uint64_t request);
void trace_emit_end(void);
void trace_emit_instant(const char *name);
void trace_emit_counter(const char *name, int64_t value);
void trace_emit_number(const char *key, int64_t value);
void trace_emit_text(const char *key, const char *text);
void trace_emit_flow(uint64_t flow, bool ends);
uint64_t trace_emit_flow_number(void);
uint64_t trace_emit_async_begin(const char *name);
void trace_emit_async_number(uint64_t request, const char *key, int64_t value);
void trace_emit_async_end(uint64_t request);

/* ---- slices of this thread ---- */

static inline void trace_begin(const char *name)
{
	if (trace_is_on())
		trace_emit_begin(name);
}

/* The same, as a part of what trace_async_begin() began: left out if that was. */
static inline void trace_begin_of(const char *name, uint64_t request)
{
	if (trace_is_on())
		trace_emit_begin_of(name, request);
}

/* Ends what was begun last; ignored if that was before the trace. */
static inline void trace_end(void)
{
	if (trace_is_on())
		trace_emit_end();
}

static inline void trace_instant(const char *name)
{
	if (trace_is_on())
		trace_emit_instant(name);
}

struct trace_scope {
	char unused;
};

static inline void trace_scope_end(struct trace_scope *scope)
{
	(void)scope;
	trace_end();
}

#define TRACE_FUNCTION()                                                                  \
	__attribute__((cleanup(trace_scope_end), unused)) struct trace_scope trace_scope; \
	trace_begin(__func__)

/* ---- details, of this thread's last slice or instant: right after it ---- */

static inline void trace_number(const char *key, int64_t value)
{
	if (trace_is_on())
		trace_emit_number(key, value);
}

static inline void trace_text(const char *key, const char *text)
{
	if (trace_is_on())
		trace_emit_text(key, text);
}

/* ENDS: no other slice follows in this flow. */
static inline void trace_flow(uint64_t flow, bool ends)
{
	if (trace_is_on())
		trace_emit_flow(flow, ends);
}

/* A number for a flow that is no slice's (below). */
static inline uint64_t trace_flow_number(void)
{
	return trace_is_on() ? trace_emit_flow_number() : 0;
}

/* ---- slices of no thread ---- */

/* Returns its number, also for flows; 0, which all others ignore: it is left out. */
static inline uint64_t trace_async_begin(const char *name)
{
	return trace_is_on() ? trace_emit_async_begin(name) : 0;
}

/* Shown when it has ended. */
static inline void trace_async_number(uint64_t request, const char *key, int64_t value)
{
	if (request && trace_is_on())
		trace_emit_async_number(request, key, value);
}

static inline void trace_async_end(uint64_t request)
{
	if (request && trace_is_on())
		trace_emit_async_end(request);
}

/* ---- numbers over time ---- */

static inline void trace_counter(const char *name, int64_t value)
{
	if (trace_is_on())
		trace_emit_counter(name, value);
}

#endif
