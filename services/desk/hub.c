#include "desk/hub.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

#define LOG_LENGTH 256
#define LOOK_MS 100
#define COMMENT_NS (15 * CLOCK_NS_PER_SEC)
#define PIECE_BYTES (16 * 1024)

struct message {
	const char *event;
	struct strbuf text; /* as it is sent */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below, up to stopped */
static struct message messages[LOG_LENGTH];              /* number N is at N modulo LOG_LENGTH */
static size_t message_count;                             /* so far */
static struct message kept[HUB_EVENTS_MAX];
static size_t kept_count;

static int64_t stall_ns;
static atomic_bool stopped;
static atomic_uint page_count;

/* What an open page is still to be sent. */
struct page {
	size_t next; /* number of a message */
	struct strbuf pending;
	size_t sent_bytes; /* of pending */
	int64_t moved_ns;  /* when something was last sent */
};

/* ---- publishing ---- */

static void set_text(struct message *message, const char *event, const struct strbuf *json)
{
	assert(!memchr(json->data, '\n', json->len_bytes));
	message->event = event;
	strbuf_free(&message->text); /* a long one would keep its room for good */
	strbuf_printf(&message->text, "event: %s\ndata: ", event);
	strbuf_add(&message->text, json->data, json->len_bytes);
	strbuf_puts(&message->text, "\n\n");
}

static struct message *find_kept(const char *event)
{
	for (size_t i = 0; i < kept_count; i++)
		if (strcmp(kept[i].event, event) == 0)
			return &kept[i];
	assert(kept_count < HUB_EVENTS_MAX);
	return &kept[kept_count++];
}

void hub_publish_passing(const char *event, const struct strbuf *json)
{
	pthread_mutex_lock(&lock);
	set_text(&messages[message_count++ % LOG_LENGTH], event, json);
	pthread_mutex_unlock(&lock);
}

void hub_publish(const char *event, const struct strbuf *json)
{
	pthread_mutex_lock(&lock);
	set_text(find_kept(event), event, json);
	set_text(&messages[message_count++ % LOG_LENGTH], event, json);
	pthread_mutex_unlock(&lock);
}

/* ---- pages: loop threads only ---- */

static void take_kept(struct page *page)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < kept_count; i++)
		strbuf_add(&page->pending, kept[i].text.data, kept[i].text.len_bytes);
	page->next = message_count;
	pthread_mutex_unlock(&lock);
}

/* Returns false if some of it is gone already. */
static bool take_new(struct page *page)
{
	bool complete;

	pthread_mutex_lock(&lock);
	complete = message_count - page->next <= LOG_LENGTH;
	for (; complete && page->next < message_count; page->next++) {
		const struct strbuf *text = &messages[page->next % LOG_LENGTH].text;

		strbuf_add(&page->pending, text->data, text->len_bytes);
	}
	pthread_mutex_unlock(&lock);
	return complete;
}

/* Hands over what the client has room for. */
static void send_pending(struct http_job *job, struct page *page, int64_t now_ns)
{
	while (page->sent_bytes < page->pending.len_bytes) {
		size_t piece_bytes = page->pending.len_bytes - page->sent_bytes;

		if (piece_bytes > PIECE_BYTES)
			piece_bytes = PIECE_BYTES;
		if (http_stream_write(job, page->pending.data + page->sent_bytes, piece_bytes) != 0)
			return;
		page->sent_bytes += piece_bytes;
		page->moved_ns = now_ns;
	}
	strbuf_free(&page->pending);
	page->sent_bytes = 0;
}

static void look(struct http_job *job)
{
	struct page *page = http_data(job);
	int64_t now_ns = clock_monotonic_ns();
	bool behind = false;

	if (atomic_load(&stopped)) {
		http_stream_end(job);
		return;
	}
	if (page->pending.len_bytes == 0) {
		behind = !take_new(page);
		/* Else nobody in between would know that the stream is alive. */
		if (!page->pending.len_bytes && now_ns - page->moved_ns >= COMMENT_NS)
			strbuf_puts(&page->pending, ":\n\n");
	}
	send_pending(job, page, now_ns);
	if (behind || (page->pending.len_bytes > 0 && now_ns - page->moved_ns >= stall_ns))
		http_abort(job);
	else
		http_after(job, LOOK_MS, look);
}

static void close_page(void *data)
{
	struct page *page = data;

	strbuf_free(&page->pending);
	free(page);
	atomic_fetch_sub(&page_count, 1);
}

static void open_page(struct http_job *job)
{
	struct page *page;

	if (atomic_fetch_add(&page_count, 1) >= HUB_PAGES_MAX) {
		atomic_fetch_sub(&page_count, 1);
		http_reply_text(job, 503,
			"The desk is open %d times already: close a page of it somewhere.",
			HUB_PAGES_MAX);
		return;
	}
	page = xcalloc(1, sizeof(*page));
	http_set_data(job, page, close_page);
	http_header(job, "cache-control", "no-store");
	http_header(job, "x-content-type-options", "nosniff");
	/* First, so that who has the head misses nothing from then on. */
	strbuf_puts(&page->pending, "retry: 1000\n\n");
	take_kept(page);
	page->moved_ns = clock_monotonic_ns();
	if (http_stream_begin(job, 200, "text/event-stream"))
		look(job);
}

void hub_mount(struct http_server *server, unsigned stall_ms)
{
	static const struct http_route route = {"/events", HTTP_GET, open_page, NULL};

	stall_ns = stall_ms * CLOCK_NS_PER_MS;
	http_server_add_routes(server, &route, 1);
}

void hub_stop(void)
{
	atomic_store(&stopped, true);
}
