#include "http/health.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
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

/* What waits on FD (OPTION: to send or to receive) ends at UNTIL_NS. */
static int limit_wait(int fd, int option, int64_t until_ns)
{
	int64_t left_ms = (until_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS;
	const struct timeval left = {left_ms / 1000, left_ms % 1000 * 1000};

	if (left_ms <= 0) /* zero would be no limit */
		return -ETIMEDOUT;
	return setsockopt(fd, SOL_SOCKET, option, &left, sizeof(left)) == 0 ? 0 : -errno;
}

static int dial(const char *listen, int64_t until_ns)
{
	struct sockaddr_storage address;
	socklen_t len_bytes;
	int fd, err = http_parse_address(listen, &address, &len_bytes);

	if (err)
		return err;
	wildcard_to_loopback(&address);
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = limit_wait(fd, SO_SNDTIMEO, until_ns); /* connect(2) too */
	if (!err && connect(fd, (struct sockaddr *)&address, len_bytes) != 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int health_check(const char *listen)
{
	int64_t until_ns = clock_monotonic_ns() + HEALTH_TIMEOUT_MS * CLOCK_NS_PER_MS;
	char answer[sizeof(wanted)] = "";
	int err, fd = dial(listen, until_ns);

	if (fd < 0)
		return fd;
	err = limit_wait(fd, SO_RCVTIMEO, until_ns);
	if (!err && (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 ||
			    recv(fd, answer, strlen(wanted), MSG_WAITALL) < 0))
		err = -errno;
	if (!err && strcmp(answer, wanted) != 0)
		err = -EBADMSG;
	close(fd);
	return err;
}
