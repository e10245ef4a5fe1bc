/*
 * capture_taker: takes captures of the patient, each in a thread of its own: what the patient answers
 * goes into a part of the store piece by piece, and is kept when it is whole.
 *
 *     capture_taker_take() -> asked, received ... -> on_end()
 *                                   \_ capture_taker_cancel(): the patient sees its client leave
 *
 * A trace with the kernel's side goes by way of the recorder (recorder.h), and is kept when that has merged it.
 *
 * Returns:   0 or -errno and a sentence: -EBUSY where CAPTURE_TAKINGS_MAX are under way, or one of the kernel;
 *            -ENOENT where no recorder stands for that.
 * Thread:    capture_taker_start() before, capture_taker_stop() once; the others are MT-Safe and do not
 *            wait for the patient.
 */
#ifndef SICKBAY_DESK_CAPTURE_TAKER_H
#define SICKBAY_DESK_CAPTURE_TAKER_H

#include "common/strbuf.h"
#include "desk/capture_name.h"
#include "desk/capture_store.h"

#define CAPTURE_TAKINGS_MAX 4
#define CAPTURE_ENDED_MAX 8

struct capture_order {
	struct capture_facts facts;      /* with a kind */
	char label[CAPTURE_LABEL_BYTES]; /* good, or "" */
};

/* How one ended. */
struct capture_end {
	unsigned id; /* another one's never, not even before the desk was restarted */
	const char *name;
	const struct capture_facts *facts;
	int64_t begun_ns; /* since 1970, UTC */
	bool is_kept;
	const char *sentence; /* why it was not; or "" */
};

struct capture_taker_config {
	const char *patient;  /* client_config.base_url */
	const char *recorder; /* the socket of the kernel's recorder, which may not be there */
	const struct capture_store *store;
	void (*on_end)(const struct capture_end *end); /* in the thread of the taking */
};

/* CONFIG's strings and the store must outlive capture_taker_stop(). */
int capture_taker_start(const struct capture_taker_config *config)
	__attribute__((warn_unused_result));
/* Whether there is what KIND needs, besides the patient. */
bool capture_taker_can_take(const struct capture_kind *kind);
/* NAME is what it will be called. */
int capture_taker_take(const struct capture_order *order, unsigned *id,
	char name[CAPTURE_NAME_BYTES], struct capture_error *error)
	__attribute__((warn_unused_result));
/* -ENOENT: it is not under way (any more). */
int capture_taker_cancel(unsigned id) __attribute__((warn_unused_result));
/*
 * Appends those under way, and the CAPTURE_ENDED_MAX that ended last, each oldest first, as JSON:
 *     {"takings":[{"id":1,"name":"...","kind":"cpu","seconds":10,"percent":40,"bytes":0}],
 *      "ended":[{"id":1,"name":"...","kept":false,"reason":"It was cancelled."}]}
 * Returns how many are under way. The percent are the window's; 0 without one.
 */
size_t capture_taker_add_json(struct strbuf *out);
/* Cancels all and waits for their end. */
void capture_taker_stop(void);

#endif
