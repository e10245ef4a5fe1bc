/* The pool: which connections there are, idle and busy. */
#include "client/internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define SCHEME "http://"
#define CONNECT_TIMEOUT_MS 2000
#define ANSWER_TIMEOUT_MS 5000

LIST_HEAD(response_list, client_response);

struct client {
	struct client_config config;
	char *base_url;
	CURLSH *names; /* what was looked up, for all connections: each lookup costs a thread */
	pthread_mutex_t names_locks[CURL_LOCK_DATA_LAST];

	pthread_mutex_t lock; /* guards all below */
	struct response_list busy, idle;
	unsigned idle_count;
	bool is_stopped;
};

/* ---- what is shared ---- */

static void lock_names(CURL *easy, curl_lock_data data, curl_lock_access access, void *context)
{
	struct client *client = context;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&client->names_locks[data]);
}

static void unlock_names(CURL *easy, curl_lock_data data, void *context)
{
	struct client *client = context;

	(void)easy;
	pthread_mutex_unlock(&client->names_locks[data]);
}

static int share_names(struct client *client)
{
	client->names = curl_share_init();
	if (!client->names ||
		curl_share_setopt(client->names, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) ||
		curl_share_setopt(client->names, CURLSHOPT_LOCKFUNC, lock_names) ||
		curl_share_setopt(client->names, CURLSHOPT_UNLOCKFUNC, unlock_names) ||
		curl_share_setopt(client->names, CURLSHOPT_USERDATA, client))
		return -ENOMEM;
	return 0;
}

/* ---- the client ---- */

static CURLcode library_state;

static void start_library(void)
{
	library_state = curl_global_init(CURL_GLOBAL_NOTHING);
}

static const char *authority_of(const char *base_url)
{
	return base_url + strlen(SCHEME);
}

bool client_is_base_url(const char *text)
{
	return strncmp(text, SCHEME, strlen(SCHEME)) == 0 && *authority_of(text) &&
	       !strpbrk(authority_of(text), "/?# ");
}

int client_create(const struct client_config *config, struct client **result)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct client *client;
	int err;

	if (!client_is_base_url(config->base_url))
		return -EINVAL;
	pthread_once(&once, start_library);
	if (library_state)
		return -ENOMEM;
	client = xcalloc(1, sizeof(*client));
	client->config = *config;
	client->base_url = xstrdup(config->base_url);
	if (!client->config.connect_timeout_ms)
		client->config.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	if (!client->config.answer_timeout_ms)
		client->config.answer_timeout_ms = ANSWER_TIMEOUT_MS;
	pthread_mutex_init(&client->lock, NULL);
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_init(&client->names_locks[i], NULL);
	LIST_INIT(&client->busy);
	LIST_INIT(&client->idle);
	err = share_names(client);
	if (err)
		client_free(client);
	else
		*result = client;
	return err;
}

void client_stop(struct client *client)
{
	struct client_response *response;

	pthread_mutex_lock(&client->lock);
	client->is_stopped = true;
	for (response = LIST_FIRST(&client->busy); response; response = LIST_NEXT(response, listed))
		response_stop(response);
	pthread_mutex_unlock(&client->lock);
}

void client_free(struct client *client)
{
	struct client_response *response;

	while ((response = LIST_FIRST(&client->idle))) {
		LIST_REMOVE(response, listed);
		response_free(response);
	}
	curl_share_cleanup(client->names);
	for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_destroy(&client->names_locks[i]);
	pthread_mutex_destroy(&client->lock);
	free(client->base_url);
	free(client);
}

/* ---- its responses ---- */

static struct client_response *take_idle(struct client *client)
{
	struct client_response *response;

	pthread_mutex_lock(&client->lock);
	response = LIST_FIRST(&client->idle);
	if (response) {
		LIST_REMOVE(response, listed);
		client->idle_count--;
	}
	pthread_mutex_unlock(&client->lock);
	return response;
}

static int become_busy(struct client *client, struct client_response *response)
{
	int err;

	pthread_mutex_lock(&client->lock);
	LIST_INSERT_HEAD(&client->busy, response, listed);
	err = client->is_stopped ? -ECANCELED : 0;
	pthread_mutex_unlock(&client->lock);
	return err;
}

static void explain(const struct client *client, int err, struct client_error *error)
{
	char cause[128];

	if (!error)
		return;
	snprintf(cause, sizeof(cause), "%s", strerror(-err));
	cause[0] = (char)tolower((unsigned char)cause[0]);
	snprintf(error->text, sizeof(error->text), "%.120s: %s", authority_of(client->base_url),
		cause);
}

static int open_response(struct client *client, const char *path, struct client_response **result)
{
	struct client_response *response = take_idle(client);
	struct strbuf url = STRBUF_INIT;
	int err = 0;

	if (!response)
		err = response_create(&client->config, client->names, &response);
	if (err)
		return err;
	response->client = client;
	strbuf_printf(&url, "%s%s", client->base_url, path);
	err = become_busy(client, response);
	if (!err)
		err = response_open(response, url.data);
	strbuf_free(&url);
	if (err)
		client_close(response);
	else
		*result = response;
	return err;
}

int client_open(struct client *client, const char *path, struct client_response **response,
	struct client_error *error)
{
	int err = open_response(client, path, response);

	if (err)
		explain(client, err, error);
	return err;
}

void client_close(struct client_response *response)
{
	struct client *client = response->client;
	bool is_kept = response_end(response);

	pthread_mutex_lock(&client->lock);
	LIST_REMOVE(response, listed);
	is_kept = is_kept && client->idle_count < client->config.idle_max;
	if (is_kept) {
		LIST_INSERT_HEAD(&client->idle, response, listed);
		client->idle_count++;
	}
	pthread_mutex_unlock(&client->lock);
	if (!is_kept)
		response_free(response);
}
