#include "http/health.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "http/internal.h"

static const char request[] = "GET /healthz HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n";
static const char wanted[] = "HTTP/1.1 200 ";

static void wildcard_to_loopback(struct sockaddr_storage *address)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *in = (struct sockaddr_in *)address;

	if (address->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
		in6->sin6_addr = in6addr_loopback;
	else if (address->ss_family == AF_INET && in->sin_addr.s_addr == htonl(INADDR_ANY))
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static int dial(const char *listen)
{
	const struct timeval timeout = {HEALTH_TIMEOUT_MS / 1000, HEALTH_TIMEOUT_MS % 1000 * 1000};
	struct sockaddr_storage address;
	socklen_t len_bytes;
	int fd, err = http_parse_address(listen, &address, &len_bytes);

	if (err)
		return err;
	wildcard_to_loopback(&address);
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* The first bounds connect(2) too. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0 ||
		connect(fd, (struct sockaddr *)&address, len_bytes) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int health_check(const char *listen)
{
	char answer[sizeof(wanted)] = "";
	int err = 0, fd = dial(listen);

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
