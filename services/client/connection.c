/* A connection of libcurl's: its handles, its socket, and what its errors mean. */
#include "client/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"

#define NAMES_STAY_S 10L
#define LOOKUP_FDS 4 /* of libcurl a pair, of libc a file and a socket */

static atomic_uint connection_count;

unsigned client_connection_count(void)
{
	return atomic_load(&connection_count);
}

void response_note_connection(struct client_response *response)
{
	if (!response->is_connected)
		atomic_fetch_add(&connection_count, 1);
	response->is_connected = true;
}

/* ---- its socket ---- */

static curl_socket_t on_open_socket(
	void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct client_response *response = context;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0) {
		response->socket_errno = errno;
		return CURL_SOCKET_BAD;
	}
	return fd;
}

/* ---- its errors ---- */

static void *do_nothing(void *unused)
{
	return unused;
}

/* A lookup that lacks descriptors, or its thread, finds nothing and does not say why. */
static int why_no_address(void)
{
	int fds[LOOKUP_FDS], count = 0, err = -ENXIO;
	pthread_t thread;

	while (count < LOOKUP_FDS &&
		(fds[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0)
		count++;
	if (count < LOOKUP_FDS)
		err = -errno;
	while (count > 0)
		close(fds[--count]);
	if (err != -ENXIO)
		return err;
	err = pthread_create(&thread, NULL, do_nothing, NULL);
	if (err)
		return -err;
	pthread_join(thread, NULL);
	return -ENXIO;
}

static int why_disconnected(const struct client_response *response)
{
	long err = 0;

	if (response->socket_errno)
		return -response->socket_errno;
	curl_easy_getinfo(response->easy, CURLINFO_OS_ERRNO, &err);
	return err ? (int)-err : -ECONNRESET;
}

int response_timeout_errno(const struct client_response *response)
{
	curl_off_t before_sending_us = 0;

	/* The time of the connection itself stays 0 where an old one is used again. */
	curl_easy_getinfo(response->easy, CURLINFO_PRETRANSFER_TIME_T, &before_sending_us);
	return before_sending_us ? -ETIMEDOUT : -EHOSTUNREACH;
}

int response_errno(const struct client_response *response, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	case CURLE_COULDNT_RESOLVE_HOST:
		return why_no_address();
	case CURLE_OPERATION_TIMEDOUT:
		return response_timeout_errno(response);
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_COULDNT_CONNECT:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return why_disconnected(response);
	default:
		return -EPROTO;
	}
}

/* ---- its handles ---- */

static CURL *create_easy(
	const struct client_config *config, CURLSH *names, struct client_response *response)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	if (!curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") &&
		!curl_easy_setopt(easy, CURLOPT_PROXY, "") && /* none from the environment */
		!curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
		/* A lookup that hangs is left to itself. */
		!curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) &&
		!curl_easy_setopt(easy, CURLOPT_SHARE, names) &&
		!curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, NAMES_STAY_S) &&
		!curl_easy_setopt(
			easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms) &&
		!curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) &&
		!curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, response) &&
		!curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, response_on_body) &&
		!curl_easy_setopt(easy, CURLOPT_WRITEDATA, response))
		return easy;
	curl_easy_cleanup(easy);
	return NULL;
}

int response_create(
	const struct client_config *config, CURLSH *names, struct client_response **result)
{
	struct client_response *response = xcalloc(1, sizeof(*response));
	int err = 0;

	pthread_mutex_init(&response->lock, NULL);
	pthread_cond_init(&response->changed, NULL);
	response->answer_timeout_ms = config->answer_timeout_ms;
	response->easy = create_easy(config, names, response);
	response->multi = curl_multi_init();
	if (!response->easy || !response->multi)
		err = -ENOMEM;
	/* Where there are no descriptors, libcurl makes a poller that nobody can wake. */
	else if (curl_multi_wakeup(response->multi))
		err = -EMFILE;
	if (err)
		response_free(response);
	else
		*result = response;
	return err;
}

void response_free(struct client_response *response)
{
	curl_easy_cleanup(response->easy);
	curl_multi_cleanup(response->multi);
	if (response->is_connected)
		atomic_fetch_sub(&connection_count, 1);
	pthread_cond_destroy(&response->changed);
	pthread_mutex_destroy(&response->lock);
	strbuf_free(&response->ahead);
	free(response);
}
