/*
 * served: the patient's own pages on a server of the test's own, at any free port of the loopback, and
 * what it logs meanwhile.
 *
 * Everything fails the test where it cannot be had.
 */
#ifndef SICKBAY_TESTS_SERVED_H
#define SICKBAY_TESTS_SERVED_H

#include "common/strbuf.h"
#include "http/http.h"

struct served {
	struct http_server *server;
	struct http_pool *business, *control;
	int log_fd, stderr_fd;
};

/* stderr goes into memory until served_stop(), which leaves the step as well; returns its error. */
void served_start(struct served *served, unsigned worker_count, unsigned queue_max);
int served_stop(struct served *served);

/* What it has logged so far, with a '\0' at its end; the caller frees it. */
struct strbuf served_log(const struct served *served);
/* How often TEXT is in it. */
int served_log_count(const struct served *served, const char *text);

#endif
