/*
 * fault: the contract of a staged fault. One descriptor, one file in faults/, one line in
 * faults.def.
 *
 * A fault is business code with a defect that can be taken back: whatever it took, it gives back
 * when the step is left, so that the patient need not be restarted. Leaving has two phases, because
 * requests of the step may still be in flight, stuck in the very defect:
 *
 *               enter()                  release()                    undo()
 *     absent ------------> present ----------------> leaving -------------------> absent
 *                           |  ^                      |   ^   once no serve()
 *                           v  |                      v   |   is in flight
 *                          serve()                   serve() ends within 1 s
 *                          (many at once)            (none begins any more)
 *
 * enter()    Stages the fault. Not called again before undo(). May be NULL.
 * serve()    One request's business, on a worker thread, many at once; on an event loop if the
 *            fault cannot block. Polls fault_cancelled() where it takes longer than 100 ms. This is
 *            the function that shows in flame graphs: name it as business code would.
 * release()  Makes every serve() in flight end: wakes, unlocks. Must not wait for them. May be
 *            NULL.
 * undo()     Gives back all that enter() and serve() took: memory, threads, descriptors, files. No
 *            serve() is in flight. May be NULL.
 *
 * Returns:   enter() and serve() 0 or -errno; a serve() that fails says why with fault_fail().
 * Ownership: a fault keeps its state in its own file, static; descriptors are constant.
 * Thread:    enter(), release() and undo() are called by one thread at a time, never by a worker or
 *            an event loop.
 * Includes:  this header, the trace's emitters, client, common, and the C library; never the
 *            profilers, never another fault.
 */
#ifndef SICKBAY_APP_FAULT_H
#define SICKBAY_APP_FAULT_H

#include <stdbool.h>

struct fault_call;

struct fault {
	const char *name; /* "memory leak" */
	const char *does; /* what a request does, for people: "keeps 10 MB more, for ever" */
	bool may_block;
	int (*enter)(bool fixed);
	int (*serve)(struct fault_call *call);
	void (*release)(void);
	void (*undo)(void);
};

/* The service that faults call, "http://upstream:8080": a setting, told before a step is entered. */
extern const char *fault_upstream_url;

/* The variant without the defect: same work, nothing left behind. */
bool fault_is_fixed(const struct fault_call *call);
/* The step is being left, or the client has gone: there is nobody to work for. */
bool fault_cancelled(const struct fault_call *call);
/*
 * Says why the request fails, from the place where it does: the log shows this stack. ERR is
 * -errno. Returns ERR, so that serve() can end with it.
 */
int fault_fail(struct fault_call *call, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
