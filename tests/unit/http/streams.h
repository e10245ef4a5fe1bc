/*
 * streams: what tests of streams share: handlers that keep count, and a client that knows what to
 * expect. Everything waits for at most CLIENT_WAIT_MS and then fails the test.
 */
#ifndef SICKBAY_TESTS_HTTP_STREAMS_H
#define SICKBAY_TESTS_HTTP_STREAMS_H

#include <stdatomic.h>

#include "client.h"

extern atomic_int streams_begun_count, streams_freed_count, streams_left_count;
extern sem_t streams_left; /* posted when a client has left */

/* Before each test. */
void streams_reset(void);
void streams_await_count(atomic_int *count, int wanted);

/* Returns what the job carries from turn to turn, a zero; NULL: the turn is over. */
int *streams_begin(struct http_job *job);
void streams_write(struct http_job *job, const char *text);
/* For "/inline": a whole answer, to see that the server still has time for others. */
void streams_on_inline(struct http_job *job);

/* A head with LINE in it. */
void streams_expect_head(int fd, const char *line);
void streams_expect_chunked(int fd);
void streams_expect_bytes(int fd, void *data, size_t len_bytes);
void streams_expect_text(int fd, const char *text);
/* Reads a chunk's first line; 0: it is the last. */
size_t streams_expect_chunk(int fd);
/* Everything up to the connection's end. */
void streams_read_rest(int fd, char *data, size_t cap_bytes);
/* Asks for "/inline". */
void streams_expect_inline(int fd);

#endif
