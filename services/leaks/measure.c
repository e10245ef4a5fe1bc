#include "leaks/measure.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/nofile.h"
#include "common/strbuf.h"

#define STATUS_MAX_BYTES (64 * 1024)

struct count {
	struct measure *now;
	uint16_t server_port;
};

static bool is_connection_of_ours(int fd, uint16_t server_port)
{
	struct sockaddr_storage own, peer;
	socklen_t own_bytes = sizeof(own), peer_bytes = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) != 0 ||
		getsockname(fd, (struct sockaddr *)&own, &own_bytes) != 0)
		return false;
	/* The port lies at the same place in both. */
	return (own.ss_family == AF_INET || own.ss_family == AF_INET6) &&
	       ntohs(((const struct sockaddr_in *)&own)->sin_port) != server_port;
}

static void count_fd(int fd, void *context)
{
	const struct count *count = context;

	count->now->fd_count++;
	count->now->connection_count += is_connection_of_ours(fd, count->server_port);
}

/* The number of a line of /proc/self/status. */
static int64_t status_number(const char *status, const char *line)
{
	const char *at = strstr(status, line);

	return at ? strtoll(at + strlen(line), NULL, 10) : 0;
}

int measure_take(uint16_t server_port, struct measure *now)
{
	struct count count = {now, server_port};
	struct strbuf status = STRBUF_INIT;
	int err = strbuf_read_file(&status, "/proc/self/status", STATUS_MAX_BYTES);

	*now = (struct measure){0};
	if (!err) {
		now->thread_count = status_number(status.data, "\nThreads:");
		now->rss_kib = status_number(status.data, "\nVmRSS:");
		err = nofile_for_each(count_fd, &count);
	}
	strbuf_free(&status);
	return err;
}
