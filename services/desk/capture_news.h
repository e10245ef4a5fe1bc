/*
 * capture_news: tells every page of the captures there are, and of those under way.
 *
 *     event "captures"  kept, when something has changed, whoever did it, within a second:
 *         {"captures":[{"name":"step6-fd-20261121-180312.pb.gz","kind":"fd","step":6,
 *           "variant":"leaky","label":"","seconds":0,"size_bytes":1628,"time":1795284192,"viewer":"pprof"},...],
 *          "older_count":0,"hidden_count":0,"total_bytes":1628,"max_bytes":1073741824,"why":""}
 *     event "taking"    kept, four times a second while there are any, and how the last ones ended:
 *                       capture_taker_add_json()
 *     event "taken"     passing: {"id":1,"name":"...","kept":true,"why":""}
 *
 * Shape:     the newest first, at most CAPTURE_NEWS_MAX; null: not known; viewer "pprof", "timeline" or
 *            "". label: what comes before that in its name. hidden_count: captures.h. WHY: what is wrong
 *            with the directory, in a sentence. One that is kept becomes a mark of vitals.h at its begin.
 * Thread:    capture_news_start() and capture_news_stop() from the main thread; the others are MT-Safe.
 */
#ifndef SICKBAY_DESK_CAPTURE_NEWS_H
#define SICKBAY_DESK_CAPTURE_NEWS_H

#include "desk/capture_store.h"
#include "desk/capture_taker.h"

#define CAPTURE_NEWS_MAX 300

int capture_news_start(const struct capture_store *store) __attribute__((warn_unused_result));
void capture_news_stop(void);
/* Has it look at once. */
void capture_news_look(void);
/* capture_taker_config.on_end. */
void capture_news_tell_end(const struct capture_end *end);

#endif
