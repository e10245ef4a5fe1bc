/*
 * vitals: the patient's numbers of the last ten minutes, one sample a second, for every page the same.
 *
 *     GET /vitals      all there are, column by column, oldest first:
 *                      {"number":...,"mark_number":...,"t":[...],"latency_ms":[...],...,
 *                       "marks":[{"number":...,"t":...,"text":"step 6"},...]}
 *     event "vitals"   kept: the newest sample, {"number":...,"mark_number":...,"t":...,
 *                      "latency_ms":...,...}
 *     event "mark"     passing: what happened at a time, {"number":...,"t":...,"text":"step 6"}
 *
 * Shape:     number and mark_number count the samples and the marks so far: who has missed one, asks for
 *            all. t in seconds since 1970; latency_ms of the requests that ended since the sample before
 *            the mean, by the patient's count of anybody's or by the desk's of its own, whichever is
 *            more; and no less than the oldest of the desk's that waits has waited: the patient counts
 *            neither those that hang, nor the time in its queue; cpu_percent of one CPU, over the same time; the others as they are, in
 *            bytes or counts. null: not known, or the patient was down. Marks older than the samples
 *            are left out.
 * Thread:    vitals_add() from one thread; the others are MT-Safe.
 */
#ifndef SICKBAY_DESK_VITALS_H
#define SICKBAY_DESK_VITALS_H

#include "desk/patient_read.h"
#include "http/http.h"

#define VITALS_LENGTH 600
#define VITALS_MARKS_MAX 100
#define VITALS_MARK_BYTES 64

/* NUMBERS NULL: it did not answer. WAITING_MS: so long the oldest request has been waiting; 0: none is. */
void vitals_add(const struct patient_numbers *numbers, int64_t waiting_ms);
/* The desk's own request took so long. */
void vitals_add_answer(double ms);
/* TEXT: a word or two, "step 6" or "cpu 5 s"; a longer one is cut. */
void vitals_mark(const char *text);
/* The same of something that was at TIME_NS, since 1970. */
void vitals_mark_at(const char *text, int64_t time_ns);

/* Before http_server_start(). */
void vitals_mount(struct http_server *server);

#endif
