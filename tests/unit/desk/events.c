#include "events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

struct events events_open(const struct http_server *server)
{
	struct events events = {.fd = client_connect(server)};
	struct client_response response;

	/* Of HTTP/1.0, so that no chunks lie between. */
	client_send(events.fd, "GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n");
	client_receive_head(events.fd, &response);
	assert_int_equal(response.status, 200);
	assert_non_null(strstr(response.head, "\r\nContent-Type: text/event-stream\r\n"));
	return events;
}

/* The next whole event that was received, without its end; NULL if there is none. */
static char *next_event(struct events *events)
{
	char *begin, *end;

	if (events->seen_bytes >= events->text.len_bytes)
		return NULL;
	begin = events->text.data + events->seen_bytes;
	end = strstr(begin, "\n\n");
	if (!end)
		return NULL;
	*end = '\0';
	events->seen_bytes = (size_t)(end + 2 - events->text.data);
	return begin;
}

static void receive_more(struct events *events, int64_t until_ns)
{
	char some[4096];
	ssize_t got = recv(events->fd, some, sizeof(some), 0);

	if (got <= 0)
		fail_msg("%s: %s", got ? strerror(errno) : "the end",
			events->text.data ? events->text.data + events->seen_bytes : "");
	assert_true(clock_monotonic_ns() < until_ns);
	strbuf_add(&events->text, some, (size_t)got);
}

const char *events_await(struct events *events, const char *name, const char *part)
{
	int64_t until_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;
	char head[64];

	snprintf(head, sizeof(head), "event: %s\ndata: ", name);
	for (;;) {
		char *event = next_event(events);

		if (!event)
			receive_more(events, until_ns);
		else if (strncmp(event, head, strlen(head)) == 0 && strstr(event, part))
			return event + strlen(head);
	}
}

void events_close(struct events *events)
{
	close(events->fd);
	strbuf_free(&events->text);
}

struct client_response events_post(
	const struct http_server *server, const char *target, const char *fields)
{
	struct strbuf request = STRBUF_INIT;
	struct client_response response;
	int fd = client_connect(server);

	strbuf_printf(&request,
		"POST %s HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s",
		target, strlen(fields), fields);
	client_send(fd, request.data);
	client_receive(fd, false, &response);
	close(fd);
	strbuf_free(&request);
	return response;
}
