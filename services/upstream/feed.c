#include "upstream/feed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "common/strbuf.h"
#include "http/params.h"

static unsigned feeds_max;
static atomic_uint open_count;
static atomic_uint_least64_t request_count, event_count;

static void on_root(struct http_job *job)
{
	atomic_fetch_add(&request_count, 1);
	http_reply_text(job, 200,
		"Sickbay's upstream: /events sends one event and never ends, /events?limit=N ends "
		"after N.");
}

static void write_events(struct http_job *job, int64_t count)
{
	struct strbuf events = STRBUF_INIT;
	int err;

	for (int64_t i = 0; i < count; i++)
		strbuf_printf(&events, "data: {\"id\":%" PRIuLEAST64 "}\n\n",
			atomic_fetch_add(&event_count, 1) + 1);
	err = http_stream_write(job, events.data, events.len_bytes);
	assert(!err && "the first piece, and a small one");
	strbuf_free(&events);
}

static void on_feed_end(void *unused)
{
	(void)unused;
	atomic_fetch_sub(&open_count, 1);
}

/* Returns whether there was room for one more; it is the job's until that ends. */
static bool open_feed(struct http_job *job)
{
	if (atomic_fetch_add(&open_count, 1) >= feeds_max) {
		atomic_fetch_sub(&open_count, 1);
		return false;
	}
	http_set_data(job, NULL, on_feed_end);
	return true;
}

static void on_events(struct http_job *job)
{
	int64_t limit;

	atomic_fetch_add(&request_count, 1);
	if (params_int(http_query(job), "limit", 0, 1, FEED_LIMIT_MAX, &limit) != 0) {
		http_reply_text(job, 400,
			"limit must be a whole number from 1 to %d; without it the feed never ends",
			FEED_LIMIT_MAX);
		return;
	}
	if (!open_feed(job)) {
		http_reply_text(job, 503,
			"%u feeds are open, and no more may be (UPSTREAM_FEEDS_MAX); close some",
			feeds_max);
		return;
	}
	http_header(job, "Cache-Control", "no-store");
	if (!http_stream_begin(job, 200, "text/event-stream"))
		return;
	write_events(job, limit ? limit : 1);
	if (limit)
		http_stream_end(job);
	else
		http_stream_rest(job);
}

void feed_mount(struct http_server *server, unsigned open_max)
{
	static const struct http_route routes[] = {
		{"/", HTTP_GET, on_root, NULL},
		{"/events", HTTP_GET, on_events, NULL},
	};

	feeds_max = open_max;
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
}

struct feed_counts feed_counts(void)
{
	return (struct feed_counts){
		.request_count = atomic_load(&request_count),
		.event_count = atomic_load(&event_count),
		.open_count = atomic_load(&open_count),
	};
}

void feed_collect(struct metrics_text *out)
{
	struct feed_counts counts = feed_counts();

	metrics_text_family(
		out, "upstream_feeds_open", METRICS_GAUGE, "Feeds that have not ended.");
	metrics_text_sample(out, NULL, counts.open_count);
	metrics_text_family(
		out, "upstream_events_sent_total", METRICS_COUNTER, "Events sent, of all feeds.");
	metrics_text_sample(out, NULL, (double)counts.event_count);
}
