#include "leaks/http/events.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"

#define REQUESTS_PER_SECOND 25
#define AGAIN_MS 1000

static struct client *client;
static int64_t open_count; /* responses that nobody closed */

static int begin(const struct pair_settings *settings)
{
	/* Short: a signal to end is heard between two requests. */
	const struct client_config config = {.base_url = settings->upstream,
		.idle_max = 2,
		.connect_timeout_ms = 1000,
		.answer_timeout_ms = 2000};
	int err = client_create(&config, &client);

	if (err)
		log_printf(
			"cannot ask \"%s\": %s; LEAKS_UPSTREAM must be as in http://upstream:8080",
			settings->upstream, strerror(-err));
	return err;
}

int close_refusal(struct client_response *response, struct client_error *error)
{
	snprintf(error->text, sizeof(error->text), "upstream answers with status %d",
		client_status(response));
	client_close(response);
	return -EPROTO;
}

static int fetch_next_event(struct pair_counts *counts)
{
	struct client_error error = {""};
	int err = fetch_event(client, counts, &error);

	open_count = counts->taken - counts->given_back;
	if (!err)
		return 0;
	counts->failures++;
	log_printf("no event: %s; trying again in a second",
		*error.text ? error.text : strerror(-err));
	return AGAIN_MS;
}

/* Where responses were forgotten, the client cannot be freed: it goes with the process. */
static void end(void)
{
	client_stop(client);
	if (!open_count)
		client_free(client);
}

static void say_start(FILE *out, const struct measure *now)
{
	fprintf(out, "Threads: %lld\n", (long long)now->thread_count);
}

static void say_state(FILE *out, const struct measure *now, const struct pair_counts *counts)
{
	fprintf(out, "Threads: %lld  |  Connections: %lld  |  Requests made: %lld",
		(long long)now->thread_count, (long long)now->connection_count,
		(long long)counts->taken);
	if (counts->failures)
		fprintf(out, "  |  Failures: %lld", (long long)counts->failures);
	fputc('\n', out);
}

static int64_t held(const struct measure *now)
{
	return now->connection_count;
}

const struct pair event_pair = {
	.variant = &event_variant,
	.per_second = REQUESTS_PER_SECOND,
	.begin = begin,
	.act = fetch_next_event,
	.end = end,
	.say_start = say_start,
	.say_state = say_state,
	.held = held,
	.leak = "Connection leak detected!",
	.no_leak = "Connections properly reused",
};
