/* http-leak: forgets its responses. fixed.c does the same work without the fault. */
#include "leaks/http/events.h"

const struct pair_variant event_variant = {
	.name = "http-leak",
	.does = "asks for 25 events a second, and forgets the responses.",
	.listen = "127.0.0.1:6060",
};

int fetch_event(struct client *client, struct pair_counts *counts, struct client_error *error)
{
	struct client_response *response;
	char event[512];
	ssize_t len_bytes;
	int err = client_open(client, "/events", &response, error);

	if (err)
		return err;
	if (client_status(response) != 200)
		return close_refusal(response, error);
	counts->taken++;
	len_bytes = client_read(response, event, sizeof(event));
	/* FAULT: there is more to come, but nobody reads it; and nobody closes the response */
	return len_bytes < 0 ? (int)len_bytes : 0;
}
