/*
 * internal: one connection of libcurl's, and the response that comes on it. Private to client.
 *
 * Shape:     a connection has a poller (CURLM) and a transfer (CURL) of its own, so that a thread can
 *            wait for this response alone. Both belong to the thread that opened the response; from
 *            response_open() on to the receiver, if there is one, until that is joined.
 *                response_create() -> ( response_open() ... response_end() )* -> response_free()
 * Returns:   0 or -errno, as client.h has it.
 * Thread:    response_stop() may be called by any thread.
 */
#ifndef SICKBAY_CLIENT_INTERNAL_H
#define SICKBAY_CLIENT_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "client/client.h"
#include "common/strbuf.h"

struct client_response {
	struct client *client;
	LIST_ENTRY(client_response) listed; /* busy or idle; guarded by the client's lock */
	CURLM *multi;
	CURL *easy;
	unsigned answer_timeout_ms;
	int status;             /* of HTTP */
	int socket_errno;       /* why its socket could not be had */
	atomic_bool is_stopped; /* wherever it stands, it is to end */
	bool is_connected;      /* and counted */
	bool has_receiver;
	pthread_t receiver;

	pthread_mutex_t lock;   /* guards all below */
	pthread_cond_t changed; /* bytes have come, or the end */
	struct strbuf ahead;    /* received; from read_bytes on not read yet */
	size_t read_bytes;
	bool is_full; /* libcurl waits until it is told of room */
	bool has_ended;
	int err; /* why it has ended; 0: with its body's end */
};

/* connection.c. NAMES is what libcurl's handles share: addresses that were looked up. */
int response_create(const struct client_config *config, CURLSH *names,
	struct client_response **response) __attribute__((warn_unused_result));
void response_free(struct client_response *response);
/* A server has answered on it. */
void response_note_connection(struct client_response *response);
/* The time is over: -errno. */
int response_timeout_errno(const struct client_response *response);
/* What libcurl's answer means as -errno. */
int response_errno(const struct client_response *response, CURLcode code);

/* response.c. Returns when the first bytes of the body have come, or it has ended. */
int response_open(struct client_response *response, const char *url)
	__attribute__((warn_unused_result));
void response_stop(struct client_response *response);
/* Joins the receiver. Returns whether the connection can be used again; if not, it is closed. */
bool response_end(struct client_response *response);
/* libcurl hands over a part of the body. */
size_t response_on_body(char *data, size_t one, size_t size_bytes, void *response);

#endif
