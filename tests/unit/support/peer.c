#include "peer.h"

#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"

#define EVENTS_AT_ONCE 64
#define PART_BYTES 8192

struct connection {
	int fd;
	unsigned number;
	char request[1024]; /* as far as it has come */
	size_t request_bytes;
	struct strbuf answer; /* from sent_bytes on still to be sent */
	size_t sent_bytes;
	bool closes; /* when all is sent */
};

static int epoll_fd, listener_fd;
static unsigned connection_count, event_count;
static size_t long_sent_bytes; /* of the last long answer */

/* ---- answers ---- */

static void answer(struct connection *connection, const char *body)
{
	strbuf_printf(&connection->answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(body), body);
}

static void answer_events(struct connection *connection, bool is_limited)
{
	char event[64];
	int len_bytes = snprintf(event, sizeof(event), "data: {\"id\":%u}\n\n", ++event_count);

	strbuf_printf(&connection->answer,
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%s",
		(unsigned)len_bytes, event, is_limited ? "0\r\n\r\n" : "");
}

static void answer_bytes(struct connection *connection, size_t count)
{
	char *at;

	strbuf_printf(&connection->answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", count);
	at = strbuf_reserve(&connection->answer, count);
	for (size_t i = 0; i < count; i++)
		at[i] = (char)(i % 251);
	strbuf_grew(&connection->answer, count);
	long_sent_bytes = 0;
}

static void answer_number(struct connection *connection, size_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", number);
	answer(connection, text);
}

static void answer_and_close(struct connection *connection, const char *text)
{
	strbuf_puts(&connection->answer, text);
	connection->closes = true;
}

static void answer_to(struct connection *connection, const char *path)
{
	if (strcmp(path, "/events") == 0 || strcmp(path, "/events?limit=1") == 0)
		answer_events(connection, path[strlen("/events")]);
	else if (strcmp(path, "/connection") == 0)
		answer_number(connection, connection->number);
	else if (strncmp(path, "/bytes?", 7) == 0)
		answer_bytes(connection, strtoul(path + 7, NULL, 10));
	else if (strcmp(path, "/sent") == 0)
		answer_number(connection, long_sent_bytes);
	else if (strcmp(path, "/late") == 0)
		return;
	else if (strcmp(path, "/head") == 0)
		strbuf_puts(&connection->answer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
	else if (strcmp(path, "/empty") == 0)
		answer(connection, "");
	else if (strcmp(path, "/cut") == 0)
		answer_and_close(
			connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
	else if (strcmp(path, "/garbage") == 0)
		answer_and_close(connection, "220 mail.example ESMTP at your service\r\n");
	else if (strcmp(path, "/last") == 0)
		answer_and_close(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nlast");
	else if (strcmp(path, "/quits") == 0)
		answer_and_close(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquits");
	else
		strbuf_puts(&connection->answer,
			"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
}

/* ---- connections ---- */

static void drop(struct connection *connection)
{
	close(connection->fd);
	strbuf_free(&connection->answer);
	free(connection);
}

/* Returns false when the connection is over. */
static bool send_more(struct connection *connection)
{
	struct strbuf *answer = &connection->answer;
	ssize_t count = 0;

	while (count >= 0 && connection->sent_bytes < answer->len_bytes) {
		count = send(connection->fd, answer->data + connection->sent_bytes,
			answer->len_bytes - connection->sent_bytes, MSG_NOSIGNAL);
		connection->sent_bytes += count > 0 ? (size_t)count : 0;
	}
	if (answer->len_bytes > PART_BYTES)
		long_sent_bytes = connection->sent_bytes;
	if (count < 0)
		return errno == EAGAIN;
	strbuf_free(answer);
	connection->sent_bytes = 0;
	return !connection->closes;
}

static bool receive_more(struct connection *connection)
{
	char path[256];
	ssize_t count = recv(connection->fd, connection->request + connection->request_bytes,
		sizeof(connection->request) - connection->request_bytes - 1, 0);

	if (count < 0)
		return errno == EAGAIN;
	if (count == 0)
		return false;
	connection->request_bytes += (size_t)count;
	connection->request[connection->request_bytes] = '\0';
	if (!strstr(connection->request, "\r\n\r\n"))
		return true;
	connection->request_bytes = 0;
	if (sscanf(connection->request, "GET %255s HTTP/1.1\r\n", path) != 1)
		return false;
	answer_to(connection, path);
	return true;
}

static void accept_one(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	struct connection *connection = xcalloc(1, sizeof(*connection));

	connection->fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK);
	if (connection->fd < 0) {
		free(connection);
		return;
	}
	connection->number = ++connection_count;
	event.data.ptr = connection;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
}

int peer_main(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event events[EVENTS_AT_ONCE] = {{.events = EPOLLIN}};
	socklen_t address_bytes = sizeof(address);

	listener_fd = socket(AF_INET, SOCK_STREAM, 0);
	epoll_fd = epoll_create1(0);
	if (bind(listener_fd, (struct sockaddr *)&address, address_bytes) != 0 ||
		listen(listener_fd, SOMAXCONN) != 0 ||
		getsockname(listener_fd, (struct sockaddr *)&address, &address_bytes) != 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener_fd, events) != 0)
		return 1;
	fprintf(stderr, "port %d is open\n", ntohs(address.sin_port));
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, -1);

		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;

			if (!connection)
				accept_one();
			else if (!receive_more(connection) || !send_more(connection))
				drop(connection);
		}
	}
}

/* ---- its process ---- */

struct peer peer_start(void)
{
	struct peer peer = {.child = child_start(PEER_NAME, "")};
	int port;

	child_await(&peer.child, " is open\n");
	assert_int_equal(sscanf(strstr(peer.child.text.data, "port "), "port %d", &port), 1);
	snprintf(peer.url, sizeof(peer.url), "http://127.0.0.1:%d", port);
	return peer;
}

void peer_stop(struct peer *peer)
{
	assert_int_equal(kill(peer->child.pid, SIGKILL), 0);
	assert_int_equal(child_await_end(&peer->child, CHILD_WAIT_NS), SIGKILL);
}
