/*
 * client: a server under test and a plain-socket client for it. Everything waits for at most
 * CLIENT_WAIT_MS and then fails the test.
 */
#ifndef SICKBAY_TESTS_HTTP_CLIENT_H
#define SICKBAY_TESTS_HTTP_CLIENT_H

#include "../support/test.h"

#include <semaphore.h>

#include "http/http.h"

#define CLIENT_WAIT_MS 5000

struct client_response {
	int status; /* 0: the connection ended before a response */
	char head[2048];
	char body[8192];
	size_t body_len_bytes;
};

struct http_server *client_serve(const struct http_route *routes, size_t count, unsigned loops);

int client_connect(const struct http_server *server);
void client_send(int fd, const char *request);
void client_send_bytes(int fd, const void *data, size_t len_bytes);
/* Reads the head of one response, whatever follows. */
void client_receive_head(int fd, struct client_response *response);
/* Reads one response. HEAD tells that no body follows whatever the header says. */
void client_receive(int fd, bool head, struct client_response *response);
/* "GET TARGET" on a connection of its own. */
void client_get(
	const struct http_server *server, const char *target, struct client_response *response);
/* Sends "GET TARGET" and returns the connection. */
int client_ask(const struct http_server *server, const char *target);

void client_await(sem_t *event);
size_t client_open_fds(void);
/* Until no more than COUNT descriptors are open. */
void client_await_fds(size_t count);

#endif
