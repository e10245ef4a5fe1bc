#include "app/health.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char request[] = "GET /healthz HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n";
static const char wanted[] = "HTTP/1.1 200 ";

/* "[::1]:6060" -> "::1" and "6060"; no host or a wildcard becomes the loopback address. */
static int split(const char *listen, char *host, size_t host_bytes, const char **port)
{
	const char *colon = strrchr(listen, ':');
	size_t len_bytes;

	if (!colon)
		return -EINVAL;
	*port = colon + 1;
	len_bytes = (size_t)(colon - listen);
	if (len_bytes >= 2 && listen[0] == '[' && listen[len_bytes - 1] == ']') {
		listen++;
		len_bytes -= 2;
	}
	if (len_bytes >= host_bytes)
		return -EINVAL;
	snprintf(host, host_bytes, "%.*s", (int)len_bytes, listen);
	if (strcmp(host, "::") == 0)
		snprintf(host, host_bytes, "::1");
	else if (len_bytes == 0 || strcmp(host, "0.0.0.0") == 0)
		snprintf(host, host_bytes, "127.0.0.1");
	return 0;
}

static int dial(const char *host, const char *port)
{
	const struct timeval timeout = {HEALTH_TIMEOUT_MS / 1000, HEALTH_TIMEOUT_MS % 1000 * 1000};
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	int fd, err = 0;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -EINVAL;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
		/* Bounds connect(2) too. */
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0 ||
		connect(fd, found->ai_addr, found->ai_addrlen) != 0)
		err = -errno;
	freeaddrinfo(found);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

int health_check(const char *listen)
{
	char host[64], answer[sizeof(wanted)] = "";
	const char *port;
	int fd, err = split(listen, host, sizeof(host), &port);

	if (err)
		return err;
	fd = dial(host, port);
	if (fd < 0)
		return fd;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 ||
		recv(fd, answer, strlen(wanted), MSG_WAITALL) < 0)
		err = -errno;
	else if (strcmp(answer, wanted) != 0)
		err = -EBADMSG;
	close(fd);
	return err;
}
