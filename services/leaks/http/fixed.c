/* http-fixed: reads its responses to their end and closes them, on every path. leak.c has the fault. */
#include "leaks/http/events.h"

const struct pair_variant event_variant = {
	.name = "http-fixed",
	.does = "asks for 25 events a second, over connections that are used again.",
	.listen = "127.0.0.1:6061",
};

int fetch_event(struct client *client, struct pair_counts *counts, struct client_error *error)
{
	struct client_response *response;
	char event[512];
	ssize_t len_bytes;
	int err = client_open(client, "/events?limit=1", &response, error);

	if (err)
		return err;
	if (client_status(response) != 200)
		return close_refusal(response, error);
	counts->taken++;
	/* To its end: or else the connection cannot be used for the next request. */
	do
		len_bytes = client_read(response, event, sizeof(event));
	while (len_bytes > 0);
	client_close(response);
	counts->given_back++;
	return (int)len_bytes;
}
