#include "desk/capture_news.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "desk/hub.h"
#include "desk/vitals.h"

#define LOOK_NS CLOCK_NS_PER_SEC
#define LOOK_TAKING_NS (250 * CLOCK_NS_PER_MS)

static const struct capture_store *store;
static pthread_t thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards these */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_stopped, must_look;

/* What was published last; of the thread. */
static struct strbuf told_list, told_takings;

/* ---- what is told ---- */

static void add_string(struct strbuf *out, const char *text)
{
	strbuf_puts(out, "\"");
	strbuf_json_escape(out, text, strlen(text));
	strbuf_puts(out, "\"");
}

static void add_facts(struct strbuf *out, const char *name)
{
	static const char *const viewers[] = {[CAPTURE_NO_VIEWER] = "",
		[CAPTURE_PPROF] = "pprof",
		[CAPTURE_TIMELINE] = "timeline"};
	struct capture_facts facts;

	capture_name_read(name, &facts);
	strbuf_printf(out, ",\"label\":\"%.*s\",\"viewer\":\"%s\",\"seconds\":%d",
		(int)capture_name_label_bytes(name), name, viewers[capture_name_viewer(name)],
		facts.seconds);
	if (facts.kind)
		strbuf_printf(out, ",\"kind\":\"%s\"", facts.kind->name);
	else
		strbuf_puts(out, ",\"kind\":null");
	if (facts.step != CAPTURE_STEP_UNKNOWN)
		strbuf_printf(out, ",\"step\":%d,\"variant\":\"%s\"", facts.step,
			facts.is_fixed ? "fixed" : "leaky");
	else
		strbuf_puts(out, ",\"step\":null,\"variant\":null");
}

static void add_captures(struct strbuf *out, const struct capture *captures, size_t count)
{
	strbuf_puts(out, "{\"captures\":[");
	for (size_t i = 0; i < count && i < CAPTURE_NEWS_MAX; i++) {
		strbuf_puts(out, i ? ",{\"name\":" : "{\"name\":");
		add_string(out, captures[i].name);
		add_facts(out, captures[i].name);
		strbuf_printf(out, ",\"size_bytes\":%" PRId64 ",\"time\":%" PRId64 "}",
			captures[i].size_bytes,
			(int64_t)(captures[i].modified_ns / CLOCK_NS_PER_SEC));
	}
	strbuf_printf(out, "],\"older_count\":%zu",
		count > CAPTURE_NEWS_MAX ? count - CAPTURE_NEWS_MAX : 0);
}

static void add_list(struct strbuf *out)
{
	struct capture_error error = {""};
	struct capture *captures;
	size_t count, hidden_count;
	int err = captures_list(store->directory, &captures, &count, &hidden_count);

	if (!err && access(store->directory, W_OK | X_OK) != 0)
		err = -errno;
	if (err)
		capture_store_explain(store, err, &error);
	add_captures(out, captures, count);
	free(captures);
	strbuf_printf(out,
		",\"hidden_count\":%zu,\"total_bytes\":%" PRId64 ",\"max_bytes\":%" PRId64
		",\"why\":",
		hidden_count, capture_store_total_bytes(store), store->max_bytes);
	add_string(out, error.text);
	strbuf_puts(out, "}");
}

/* NEWS becomes TOLD. */
static void publish(const char *event, struct strbuf *told, struct strbuf *news)
{
	if (told->len_bytes == news->len_bytes && told->data &&
		memcmp(told->data, news->data, news->len_bytes) == 0) {
		strbuf_free(news);
		return;
	}
	hub_publish(event, news);
	strbuf_free(told);
	*told = *news;
	*news = (struct strbuf)STRBUF_INIT;
}

static void look_at_list(void)
{
	struct strbuf list = STRBUF_INIT;

	add_list(&list);
	publish("captures", &told_list, &list);
}

/* Returns after how long to look again. */
static int64_t look_at_takings(void)
{
	struct strbuf takings = STRBUF_INIT;
	size_t count = capture_taker_add_json(&takings);

	publish("taking", &told_takings, &takings);
	return count ? LOOK_TAKING_NS : LOOK_NS;
}

/* On the time axis of the vitals. */
static void mark(const struct capture_end *end)
{
	char text[VITALS_MARK_BYTES];

	if (end->facts->seconds)
		snprintf(
			text, sizeof(text), "%s %d s", end->facts->kind->name, end->facts->seconds);
	else
		snprintf(text, sizeof(text), "%s", end->facts->kind->name);
	vitals_mark_at(text, end->begun_ns);
}

void capture_news_tell_end(const struct capture_end *end)
{
	struct strbuf out = STRBUF_INIT;

	strbuf_printf(&out, "{\"id\":%u,\"name\":\"%s\",\"kept\":%s,\"why\":", end->id, end->name,
		end->is_kept ? "true" : "false");
	add_string(&out, end->sentence);
	strbuf_puts(&out, "}");
	hub_publish_passing("taken", &out);
	strbuf_free(&out);
	if (end->is_kept)
		mark(end);
	capture_news_look();
}

/* ---- the thread ---- */

/* Until WAIT_NS are over, or somebody cannot wait: IS_TOLD. Returns whether it goes on. */
static bool rest(int64_t wait_ns, bool *is_told)
{
	int64_t end_ns = clock_monotonic_ns() + wait_ns;
	struct timespec end = {end_ns / CLOCK_NS_PER_SEC, end_ns % CLOCK_NS_PER_SEC};
	bool goes_on;

	pthread_mutex_lock(&lock);
	while (!is_stopped && !must_look)
		if (pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &end) == ETIMEDOUT)
			break;
	*is_told = must_look;
	must_look = false;
	goes_on = !is_stopped;
	pthread_mutex_unlock(&lock);
	return goes_on;
}

static void *run(void *unused)
{
	int64_t list_due_ns = 0;
	bool is_told = false;

	pthread_setname_np(pthread_self(), "captures");
	do {
		int64_t now_ns = clock_monotonic_ns();

		if (is_told || now_ns >= list_due_ns) {
			look_at_list();
			list_due_ns = now_ns + LOOK_NS;
		}
	} while (rest(look_at_takings(), &is_told));
	return unused;
}

void capture_news_look(void)
{
	pthread_mutex_lock(&lock);
	must_look = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

int capture_news_start(const struct capture_store *of)
{
	store = of;
	is_stopped = false;
	return -pthread_create(&thread, NULL, run, NULL);
}

void capture_news_stop(void)
{
	pthread_mutex_lock(&lock);
	is_stopped = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	strbuf_free(&told_list);
	strbuf_free(&told_takings);
}
