#include "http/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/parse.h"

#define SERVER_BACKLOG_COUNT 4096
#define SERVER_IDLE_MS 60000
#define SERVER_CLOSE_MS 700
/*
 * h2o closes a connection whose body it refuses, which can cost the client the answer; so it reads
 * some, and we refuse.
 */
#define SERVER_READ_MAX_BYTES (16 * HTTP_BODY_MAX_BYTES)

/* ---- the address ---- */

static int parse_port(const char *text, in_port_t *port)
{
	int64_t value;

	/* "-0" and "000080" are numbers, but no ports. */
	if (*text == '-' || strlen(text) > 5 || parse_int(text, 0, UINT16_MAX, &value) != 0)
		return -EINVAL;
	*port = htons((uint16_t)value);
	return 0;
}

static int parse_host(
	const char *host, in_port_t port, struct sockaddr_storage *address, socklen_t *len_bytes)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	size_t host_bytes = strlen(host);
	char inner[INET6_ADDRSTRLEN];

	memset(address, 0, sizeof(*address));
	if (host[0] != '[') {
		in->sin_family = AF_INET;
		in->sin_port = port;
		*len_bytes = sizeof(*in);
		/* No host at all means every address. */
		return !*host || inet_pton(AF_INET, host, &in->sin_addr) == 1 ? 0 : -EINVAL;
	}
	if (host_bytes < 3 || host[host_bytes - 1] != ']' || host_bytes - 2 >= sizeof(inner))
		return -EINVAL;
	*(char *)mempcpy(inner, host + 1, host_bytes - 2) = '\0';
	in6->sin6_family = AF_INET6;
	in6->sin6_port = port;
	*len_bytes = sizeof(*in6);
	return inet_pton(AF_INET6, inner, &in6->sin6_addr) == 1 ? 0 : -EINVAL;
}

int http_parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len_bytes)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	in_port_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(host) || parse_port(colon + 1, &port))
		return -EINVAL;
	*(char *)mempcpy(host, text, colon - text) = '\0';
	return parse_host(host, port, address, len_bytes);
}

static int listen_on(const char *text, int *fd, uint16_t *port)
{
	struct sockaddr_storage address;
	int sock, result, one = 1;
	socklen_t len_bytes;

	result = http_parse_address(text, &address, &len_bytes);
	if (result)
		return result;
	sock = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		bind(sock, (struct sockaddr *)&address, len_bytes) < 0 ||
		listen(sock, SERVER_BACKLOG_COUNT) < 0 ||
		getsockname(sock, (struct sockaddr *)&address, &len_bytes) < 0) {
		result = -errno;
		close(sock);
		return result;
	}
	*fd = sock;
	*port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						    : ((struct sockaddr_in *)&address)->sin_port);
	return 0;
}

/* ---- the server ---- */

/* h2o writes with writev(2): a client that is gone must cost its connection, not the process. */
static void ignore_sigpipe(void)
{
	struct sigaction action;

	if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

static void configure(struct http_server *server, const char *name)
{
	h2o_globalconf_t *config = &server->config;

	server->name = xstrdup(name);
	h2o_config_init(config);
	config->server_name = h2o_iovec_init(server->name, strlen(server->name));
	config->max_request_entity_size = SERVER_READ_MAX_BYTES;
	config->http1.upgrade_to_http2 = 0;
	config->http1.req_timeout = SERVER_IDLE_MS;
	config->filecache.capacity = 1; /* for files.c to hand over what it opened */
	/*
	 * Nobody speaks HTTP/2 here, and its farewell leaves a timer behind that h2o's own clean-up
	 * stumbles over.
	 */
	config->http2.callbacks.request_shutdown = NULL;
	server->host = h2o_config_register_host(
		config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
}

/* Last: h2o takes the first path that fits, and this one always does. */
static void add_router(struct http_server *server)
{
	struct http_router *router = (struct http_router *)h2o_create_handler(
		h2o_config_register_path(server->host, "/", 0), sizeof(*router));

	router->super.on_req = http_router_on_request;
	router->server = server;
}

static unsigned core_count(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count > 0 ? count : 1;
}

int http_server_create(const struct http_server_config *config, struct http_server **result)
{
	struct http_server *server;
	uint16_t port = 0;
	int fd = -1, error;

	error = listen_on(config->listen, &fd, &port);
	if (error)
		return error;
	ignore_sigpipe();
	server = xcalloc(1, sizeof(*server));
	server->listen_fd = fd;
	server->port = port;
	server->loop_count = config->loop_count ? config->loop_count : core_count();
	server->loops = xcalloc(server->loop_count, sizeof(*server->loops));
	atomic_init(&server->refs, 1);
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->ready, NULL);
	configure(server, config->name);
	*result = server;
	return 0;
}

void http_server_add_routes(
	struct http_server *server, const struct http_route *routes, size_t count)
{
	server->routes = xrealloc(
		server->routes, server->route_count + count, sizeof(*server->routes));
	memcpy(server->routes + server->route_count, routes, count * sizeof(*routes));
	server->answers = xrealloc(
		server->answers, server->route_count + count, sizeof(*server->answers));
	for (size_t i = 0; i < count; i++)
		server->answers[server->route_count++] = http_answers_of(routes[i].path);
}

void http_server_set_gate(struct http_server *server, http_gate *gate)
{
	server->gate = gate;
}

static int start_loop(struct http_server *server, unsigned index)
{
	struct http_loop *loop = &server->loops[index];
	int error;

	loop->server = server;
	loop->index = index;
	/*
	 * One socket for all, so that no connection waits for a busy loop; a descriptor each, so
	 * that h2o may close it.
	 */
	loop->listen_fd = fcntl(server->listen_fd, F_DUPFD_CLOEXEC, 3);
	if (loop->listen_fd < 0)
		return -errno;
	loop->mailbox = http_mailbox_create();
	atomic_fetch_add(&server->refs, 1);
	error = pthread_create(&loop->thread, NULL, http_loop_main, loop);
	if (error) {
		atomic_fetch_sub(&server->refs, 1);
		http_mailbox_unref(loop->mailbox);
		close(loop->listen_fd);
		return -error;
	}
	return 0;
}

static void await_ready(struct http_server *server)
{
	pthread_mutex_lock(&server->lock);
	while (server->ready_count < server->started_count)
		pthread_cond_wait(&server->ready, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

int http_server_start(struct http_server *server)
{
	int result = 0;

	add_router(server);
	while (server->started_count < server->loop_count) {
		result = start_loop(server, server->started_count);
		if (result)
			break;
		server->started_count++;
	}
	await_ready(server);
	return result;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_unref(struct http_server *server)
{
	if (atomic_fetch_sub(&server->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < server->started_count; i++)
		http_mailbox_unref(server->loops[i].mailbox);
	h2o_config_dispose(&server->config);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->ready);
	free(server->loops);
	free(server->routes);
	free(server->answers);
	free(server->name);
	free(server);
}

void http_server_stop(struct http_server *server, unsigned drain_ms)
{
	int64_t until_ns;

	/*
	 * First, so that the kernel refuses new connections as soon as the last loop lets go of its
	 * own.
	 */
	close(server->listen_fd);
	server->drain_until_ns = clock_monotonic_ns() + drain_ms * CLOCK_NS_PER_MS;
	atomic_store_explicit(&server->stopping, true, memory_order_release);
	for (unsigned i = 0; i < server->started_count; i++)
		http_mailbox_post(server->loops[i].mailbox, NULL);
	/* Beyond the drain a loop takes half a second at most, to close. */
	until_ns = clock_realtime_ns() + (drain_ms + SERVER_CLOSE_MS) * CLOCK_NS_PER_MS;
	for (unsigned i = 0; i < server->started_count; i++)
		if (!http_join(server->loops[i].thread, until_ns))
			log_printf("event loop %u hangs, and is left behind", i);
	http_server_unref(server);
}
