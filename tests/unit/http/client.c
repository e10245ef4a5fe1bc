#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

struct http_server *client_serve(const struct http_route *routes, size_t count, unsigned loops)
{
	struct http_server_config config = {"127.0.0.1:0", loops, "test"};
	struct http_server *server;

	assert_int_equal(http_server_create(&config, &server), 0);
	http_server_add_routes(server, routes, count);
	assert_int_equal(http_server_start(server), 0);
	return server;
}

int client_connect(const struct http_server *server)
{
	struct timeval wait = {CLIENT_WAIT_MS / 1000, 0};
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(http_server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	/* Only now: with a deadline set, a signal ends a call even where SA_RESTART is. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

void client_send_bytes(int fd, const void *data, size_t len_bytes)
{
	assert_int_equal(send(fd, data, len_bytes, MSG_NOSIGNAL), len_bytes);
}

void client_send(int fd, const char *request)
{
	client_send_bytes(fd, request, strlen(request));
}

/* Dumps of threads send signals. */
static ssize_t receive_some(int fd, void *data, size_t len_bytes)
{
	ssize_t got;

	do
		got = recv(fd, data, len_bytes, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

static size_t receive_head(int fd, char *head, size_t cap_bytes)
{
	size_t len_bytes = 0;

	/* Byte by byte, so that nothing of the next response is taken. */
	while (len_bytes < 4 || memcmp(head + len_bytes - 4, "\r\n\r\n", 4)) {
		ssize_t got;

		assert_true(len_bytes + 1 < cap_bytes);
		got = receive_some(fd, head + len_bytes, 1);
		if (got == 0 || (got < 0 && errno == ECONNRESET)) {
			assert_int_equal(len_bytes, 0);
			break;
		}
		assert_int_equal(got, 1);
		len_bytes++;
	}
	head[len_bytes] = '\0';
	return len_bytes;
}

void client_receive_head(int fd, struct client_response *response)
{
	memset(response, 0, sizeof(*response));
	if (!receive_head(fd, response->head, sizeof(response->head)))
		return;
	assert_int_equal(sscanf(response->head, "HTTP/1.1 %d", &response->status), 1);
}

void client_receive(int fd, bool head, struct client_response *response)
{
	const char *length;
	size_t wanted;

	client_receive_head(fd, response);
	if (!response->status)
		return;
	length = strcasestr(response->head, "\r\nContent-Length: ");
	assert_non_null(length);
	wanted = strtoul(length + 18, NULL, 10);
	if (head)
		return;
	assert_true(wanted < sizeof(response->body));
	while (response->body_len_bytes < wanted) {
		ssize_t got = receive_some(fd, response->body + response->body_len_bytes,
			wanted - response->body_len_bytes);

		assert_true(got > 0);
		response->body_len_bytes += (size_t)got;
	}
}

int client_ask(const struct http_server *server, const char *target)
{
	int fd = client_connect(server);

	client_send(fd, "GET ");
	client_send(fd, target);
	client_send(fd, " HTTP/1.1\r\nHost: test\r\n\r\n");
	return fd;
}

void client_get(
	const struct http_server *server, const char *target, struct client_response *response)
{
	int fd = client_ask(server, target);

	client_receive(fd, false, response);
	close(fd);
}

void client_await(sem_t *event)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CLIENT_WAIT_MS / 1000;
	while (sem_timedwait(event, &until) < 0)
		assert_int_equal(errno, EINTR);
}

size_t client_open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 3; /* ".", ".." and the directory itself */
}

void client_await_fds(size_t count)
{
	int64_t until_ns = clock_monotonic_ns() + CLIENT_WAIT_MS * CLOCK_NS_PER_MS;
	struct timespec pause = {0, CLOCK_NS_PER_MS};

	while (client_open_fds() > count) {
		assert_true(clock_monotonic_ns() < until_ns);
		nanosleep(&pause, NULL);
	}
}

/*
 * What h2o keeps of a loop for good: its thread's recycled buffers and a queue's head. For
 * LeakSanitizer.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}
