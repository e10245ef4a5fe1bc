#include "streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"

atomic_int streams_begun_count, streams_freed_count, streams_left_count;
sem_t streams_left;

void streams_reset(void)
{
	atomic_store(&streams_begun_count, 0);
	atomic_store(&streams_freed_count, 0);
	atomic_store(&streams_left_count, 0);
	sem_init(&streams_left, 0, 0);
}

void streams_await_count(atomic_int *count, int wanted)
{
	int64_t until_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;

	while (atomic_load(count) != wanted) {
		assert_true(clock_monotonic_ns() < until_ns);
		usleep(1000);
	}
}

/* ---- handlers ---- */

static void free_data(void *data)
{
	free(data);
	atomic_fetch_add(&streams_freed_count, 1);
}

static void on_leave(struct http_job *job)
{
	assert_true(http_client_left(job));
	atomic_fetch_add(&streams_left_count, 1);
	sem_post(&streams_left);
}

int *streams_begin(struct http_job *job)
{
	int *data = xcalloc(1, sizeof(*data));

	atomic_fetch_add(&streams_begun_count, 1);
	http_set_data(job, data, free_data);
	http_on_leave(job, on_leave);
	http_header(job, "X-Header", "here");
	return http_stream_begin(job, 200, "text/event-stream") ? data : NULL;
}

void streams_write(struct http_job *job, const char *text)
{
	assert_int_equal(http_stream_write(job, text, strlen(text)), 0);
}

void streams_on_inline(struct http_job *job)
{
	http_reply(job, 200, "text/plain", "ok", 2);
}

/* ---- a client ---- */

void streams_expect_head(int fd, const char *line)
{
	struct client_response response;

	client_receive_head(fd, &response);
	assert_int_equal(response.status, 200);
	assert_non_null(strstr(response.head, "\r\nContent-Type: text/event-stream\r\n"));
	assert_non_null(strstr(response.head, "\r\nX-Header: here\r\n"));
	assert_null(strcasestr(response.head, "\r\nContent-Length:"));
	if (!strcasestr(response.head, line))
		fail_msg("no %s in %s", line, response.head);
}

void streams_expect_chunked(int fd)
{
	streams_expect_head(fd, "\r\nTransfer-Encoding: chunked\r\n");
}

void streams_expect_bytes(int fd, void *data, size_t len_bytes)
{
	for (size_t done = 0; done < len_bytes;) {
		ssize_t got = recv(fd, (char *)data + done, len_bytes - done, 0);

		assert_true(got > 0);
		done += (size_t)got;
	}
}

void streams_expect_text(int fd, const char *text)
{
	char got[128] = "";

	assert_true(strlen(text) < sizeof(got));
	streams_expect_bytes(fd, got, strlen(text));
	assert_string_equal(got, text);
}

size_t streams_expect_chunk(int fd)
{
	char line[16] = "";

	for (size_t len = 0; !strchr(line, '\n'); len++) {
		assert_true(len + 1 < sizeof(line));
		streams_expect_bytes(fd, line + len, 1);
	}
	return strtoul(line, NULL, 16);
}

void streams_read_rest(int fd, char *data, size_t cap_bytes)
{
	size_t len_bytes = 0;
	ssize_t got;

	while ((got = recv(fd, data + len_bytes, cap_bytes - 1 - len_bytes, 0)) > 0)
		len_bytes += (size_t)got;
	data[len_bytes] = '\0';
	assert_true(got == 0 || errno == ECONNRESET);
	assert_true(len_bytes + 1 < cap_bytes);
}

void streams_expect_inline(int fd)
{
	struct client_response response;

	client_send(fd, "GET /inline HTTP/1.1\r\n\r\n");
	client_receive(fd, false, &response);
	assert_string_equal(response.body, "ok");
}
