/* Step 7: every request asks the upstream for its events, and forgets the response. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "app/fault.h"
#include "client/client.h"
#include "common/memory.h"
#include "trace/trace.h"

#define IDLE_MAX 2

static struct client *upstream; /* made by enter(), freed by undo() */

static pthread_mutex_t responses_lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct client_response **responses;
static size_t response_count, response_cap;

static int enter(bool fixed)
{
	const struct client_config config = {.base_url = fault_upstream_url, .idle_max = IDLE_MAX};

	(void)fixed;
	return client_create(&config, &upstream);
}

static int remember(struct client_response *response)
{
	if (response_count == response_cap) {
		size_t cap = response_cap ? 2 * response_cap : 64;
		struct client_response **grown = reallocarray(responses, cap, sizeof(*responses));

		if (!grown)
			return -ENOMEM;
		responses = grown;
		response_cap = cap;
	}
	responses[response_count++] = response;
	return 0;
}

static int read_events(struct client_response *response, bool to_the_end)
{
	char events[1024];
	ssize_t count;

	if (client_status(response) != 200)
		return -EPROTO;
	do
		count = client_read(response, events, sizeof(events));
	while (count > 0 && to_the_end);
	return count < 0 ? (int)count : 0;
}

static int handle_response(struct client_response *response, bool fixed)
{
	int err = read_events(response, fixed);

	/* FAULT: remembered for undo(), neither read to its end nor closed */
	if (!err && !fixed) {
		pthread_mutex_lock(&responses_lock);
		err = remember(response);
		pthread_mutex_unlock(&responses_lock);
	}
	if (err || fixed)
		client_close(response);
	return err;
}

static int call_upstream(struct fault_call *call)
{
	bool fixed = fault_is_fixed(call);
	const char *path = fixed ? "/events?limit=1" : "/events";
	struct client_response *response;
	int err;

	TRACE_FUNCTION();
	err = client_open(upstream, path, &response, NULL);
	if (!err)
		err = handle_response(response, fixed);
	/* Whoever is let go as the step is left has its answer, as in every step. */
	if (err && !fault_cancelled(call))
		return fault_fail(call, err, "GET %s%s", fault_upstream_url, path);
	return 0;
}

static void release(void)
{
	client_stop(upstream);
}

static void undo(void)
{
	for (size_t i = 0; i < response_count; i++)
		client_close(responses[i]);
	free(responses);
	responses = NULL;
	response_count = response_cap = 0;
	client_free(upstream);
	memory_return_to_system();
}

const struct fault fault_connection_leak = {
	.name = "connection leak",
	.does = "asks the upstream for events and keeps the connection",
	.may_block = true,
	.enter = enter,
	.serve = call_upstream,
	.release = release,
	.undo = undo,
};
