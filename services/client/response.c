/* A response: libcurl driven by hand, first in the caller, then in the receiver. */
#include "client/internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define RECEIVER_STACK_BYTES (256 * 1024)

static atomic_uint receiver_count; /* that were ever born */

/* ---- what comes ---- */

/* With the lock held. */
static size_t unread_bytes(const struct client_response *response)
{
	return response->ahead.len_bytes - response->read_bytes;
}

static void keep_unread(struct client_response *response)
{
	struct strbuf *ahead = &response->ahead;

	ahead->len_bytes = unread_bytes(response);
	if (response->read_bytes && ahead->len_bytes)
		memmove(ahead->data, ahead->data + response->read_bytes, ahead->len_bytes);
	response->read_bytes = 0;
}

size_t response_on_body(char *data, size_t one, size_t size_bytes, void *context)
{
	struct client_response *response = context;
	bool is_full;

	(void)one;
	pthread_mutex_lock(&response->lock);
	is_full = unread_bytes(response) + size_bytes > CLIENT_AHEAD_MAX_BYTES;
	response->is_full = is_full;
	if (!is_full) {
		keep_unread(response);
		strbuf_add(&response->ahead, data, size_bytes);
		pthread_cond_signal(&response->changed);
	}
	pthread_mutex_unlock(&response->lock);
	return is_full ? CURL_WRITEFUNC_PAUSE : size_bytes;
}

/* ---- how it goes on, and ends ---- */

static void end(struct client_response *response, int err)
{
	pthread_mutex_lock(&response->lock);
	response->has_ended = true;
	response->err = err;
	pthread_cond_signal(&response->changed);
	pthread_mutex_unlock(&response->lock);
}

/* Waits until something comes, or somebody wakes it, for TIMEOUT_MS at most; then does what can be done. */
static void go_on(struct client_response *response, int timeout_ms)
{
	CURLMcode code = curl_multi_poll(response->multi, NULL, 0, timeout_ms, NULL);
	const CURLMsg *message;
	int count;

	if (!code)
		code = curl_multi_perform(response->multi, &count);
	if (code)
		end(response, -EIO);
	while ((message = curl_multi_info_read(response->multi, &count)))
		if (message->msg == CURLMSG_DONE)
			end(response, response_errno(response, message->data.result));
}

static bool has_ended(struct client_response *response)
{
	bool ended;

	pthread_mutex_lock(&response->lock);
	ended = response->has_ended;
	pthread_mutex_unlock(&response->lock);
	return ended;
}

/* ---- the receiver ---- */

static bool has_room_again(struct client_response *response)
{
	bool has_room;

	pthread_mutex_lock(&response->lock);
	has_room = response->is_full && unread_bytes(response) == 0;
	if (has_room)
		response->is_full = false;
	pthread_mutex_unlock(&response->lock);
	return has_room;
}

/* What a dump of threads shows of a response that nobody reads to its end. */
static void *recv_response(void *context)
{
	struct client_response *response = context;
	char name[16];

	snprintf(name, sizeof(name), "recv-%u", atomic_fetch_add(&receiver_count, 1));
	pthread_setname_np(pthread_self(), name);
	while (!has_ended(response)) {
		if (atomic_load(&response->is_stopped))
			end(response, -ECANCELED);
		else if (has_room_again(response))
			curl_easy_pause(response->easy, CURLPAUSE_CONT);
		else
			go_on(response, INT_MAX);
	}
	return NULL;
}

static int start_receiver(struct client_response *response)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, RECEIVER_STACK_BYTES);
	err = pthread_create(&response->receiver, &attr, recv_response, response);
	pthread_attr_destroy(&attr);
	response->has_receiver = err == 0;
	return -err;
}

void response_stop(struct client_response *response)
{
	atomic_store(&response->is_stopped, true);
	curl_multi_wakeup(response->multi);
}

/* ---- a response, from its request to its end ---- */

static bool has_answer(struct client_response *response, int *err)
{
	bool answered;

	pthread_mutex_lock(&response->lock);
	answered = response->has_ended || unread_bytes(response);
	*err = unread_bytes(response) ? 0 : response->err;
	pthread_mutex_unlock(&response->lock);
	return answered;
}

static int await_answer(struct client_response *response)
{
	int64_t end_ns = clock_monotonic_ns() + response->answer_timeout_ms * CLOCK_NS_PER_MS;
	int err;

	while (!has_answer(response, &err)) {
		int64_t left_ns = end_ns - clock_monotonic_ns();

		if (atomic_load(&response->is_stopped))
			return -ECANCELED;
		if (left_ns <= 0)
			return response_timeout_errno(response);
		go_on(response, (int)(left_ns / CLOCK_NS_PER_MS) + 1);
	}
	return err;
}

int response_open(struct client_response *response, const char *url)
{
	long status = 0;
	int err;

	if (curl_easy_setopt(response->easy, CURLOPT_URL, url) ||
		curl_multi_add_handle(response->multi, response->easy))
		return -ENOMEM;
	err = await_answer(response);
	if (err)
		return err;
	response_note_connection(response);
	curl_easy_getinfo(response->easy, CURLINFO_RESPONSE_CODE, &status);
	response->status = (int)status;
	return has_ended(response) ? 0 : start_receiver(response);
}

int client_status(const struct client_response *response)
{
	return response->status;
}

/* With the lock held. */
static int await_bytes(struct client_response *response)
{
	int64_t end_ns = clock_monotonic_ns() + response->answer_timeout_ms * CLOCK_NS_PER_MS;
	struct timespec end = {end_ns / CLOCK_NS_PER_SEC, end_ns % CLOCK_NS_PER_SEC};
	int err = 0;

	while (!unread_bytes(response) && !response->has_ended && !err)
		err = pthread_cond_clockwait(
			&response->changed, &response->lock, CLOCK_MONOTONIC, &end);
	if (unread_bytes(response))
		return 0;
	return response->has_ended ? response->err : -err;
}

ssize_t client_read(struct client_response *response, void *data, size_t size_bytes)
{
	size_t count_bytes = 0;
	bool has_room;
	int err;

	pthread_mutex_lock(&response->lock);
	err = await_bytes(response);
	if (!err && unread_bytes(response)) {
		count_bytes = unread_bytes(response);
		if (count_bytes > size_bytes)
			count_bytes = size_bytes;
		memcpy(data, response->ahead.data + response->read_bytes, count_bytes);
		response->read_bytes += count_bytes;
	}
	has_room = response->is_full && !unread_bytes(response);
	pthread_mutex_unlock(&response->lock);
	if (has_room)
		curl_multi_wakeup(response->multi);
	return err ? err : (ssize_t)count_bytes;
}

bool response_end(struct client_response *response)
{
	curl_socket_t kept = CURL_SOCKET_BAD;
	bool is_usable;

	if (response->has_receiver) {
		response_stop(response);
		pthread_join(response->receiver, NULL);
		response->has_receiver = false;
	}
	curl_easy_getinfo(response->easy, CURLINFO_ACTIVESOCKET, &kept);
	is_usable = response->has_ended && !response->err && kept != CURL_SOCKET_BAD;
	curl_multi_remove_handle(response->multi, response->easy);
	/* What the next response on this connection begins with. */
	atomic_store(&response->is_stopped, false);
	strbuf_free(&response->ahead);
	response->read_bytes = 0;
	response->is_full = response->has_ended = false;
	response->err = response->socket_errno = 0;
	return is_usable;
}
