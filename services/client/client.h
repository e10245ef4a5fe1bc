/*
 * client: an HTTP client on libcurl, for programs that call another service. The only folder that
 * knows libcurl.
 *
 * Shape:     a client is a pool of keep-alive connections to one base URL. client_open() takes an idle
 *            connection, or makes one, sends the request in the calling thread and returns when the
 *            head and the first bytes of the body have come. What has not come by then is received by a
 *            thread of the response's own ("recv-N"), ahead of the reader by CLIENT_AHEAD_MAX_BYTES.
 *
 *                client_open() -> client_read() ... client_read() = 0 -> client_close() -> pool
 *                                       \_ before the end: client_close() -> connection closed
 *
 * Ownership: the response is the caller's until client_close(); the body must come to its end for
 *            its connection to be used again. A response that is forgotten keeps a connection (with
 *            libcurl that is three descriptors, the socket and a pair to wake its poller, and some
 *            50 KB) and, while its body has no end, a thread.
 * Returns:   0 or -errno: -ECONNREFUSED, -ECONNRESET, -EMFILE ..., -EHOSTUNREACH where no connection
 *            came about in time, -ETIMEDOUT where an answer did not, -ENXIO for a name that has no
 *            address, -EPROTO for an answer that is no HTTP, -EAGAIN where no thread can be had,
 *            -ECANCELED after client_stop().
 * Thread:    MT-Safe; a response is one thread's at a time. Blocks: never on an event loop.
 */
#ifndef SICKBAY_CLIENT_CLIENT_H
#define SICKBAY_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CLIENT_AHEAD_MAX_BYTES (64 * 1024)

struct client;
struct client_response;

/* What has gone wrong, for people: "upstream:8080: connection refused". */
struct client_error {
	char text[256];
};

struct client_config {
	const char *base_url;        /* "http://upstream:8080": no path, and only http */
	unsigned idle_max;           /* connections kept for the next request */
	unsigned connect_timeout_ms; /* 0: 2 s */
	unsigned answer_timeout_ms;  /* for the first bytes of the body, and for more; 0: 5 s */
};

/* Whether TEXT will do as a base URL. */
bool client_is_base_url(const char *text);
/* -EINVAL: the base URL will not do. */
int client_create(const struct client_config *config, struct client **client)
	__attribute__((warn_unused_result));
/* For good: what is under way in any thread ends with -ECANCELED, and so does what begins later. */
void client_stop(struct client *client);
/* All its responses must be closed. Closes the idle connections. */
void client_free(struct client *client);
/* Connections that a server has answered on, and that no client has closed yet; idle ones too. */
unsigned client_connection_count(void);

/* A GET of PATH, which begins with "/". The response may have any status. ERROR may be NULL. */
int client_open(struct client *client, const char *path, struct client_response **response,
	struct client_error *error) __attribute__((warn_unused_result));
int client_status(const struct client_response *response);
/* Waits for bytes of the body. Returns how many, 0 at its end, or -errno. */
ssize_t client_read(struct client_response *response, void *data, size_t size_bytes)
	__attribute__((warn_unused_result));
/* Returns once the response's thread, if there is one, has ended. */
void client_close(struct client_response *response);

#endif
