#include "desk/capture_taker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/client.h"
#include "common/clock.h"
#include "desk/capture_ask.h"
#include "desk/recorder.h"
#include "http/http.h"

#define PATIENCE_MS 20000 /* what an answer may take beyond its window: a sick patient is slow */
#define STOP_WAIT_MS 1000

struct taking {
	unsigned id; /* 0: the slot is free */
	struct capture_facts facts;
	char name[CAPTURE_NAME_BYTES];
	int64_t begun_ns;
	int64_t received_bytes;
	struct client *client;
	int recorder_fd; /* or -1 */
	bool is_cancelled;
};

struct ended {
	unsigned id;
	char name[CAPTURE_NAME_BYTES];
	bool is_kept;
	struct capture_error error; /* why it was not; or "" */
};

static struct {
	struct capture_taker_config config;
	struct http_pool *pool;
	pthread_mutex_t lock;                       /* guards all below */
	struct taking takings[CAPTURE_TAKINGS_MAX]; /* the thread of one reads its own without it */
	unsigned last_id;
	struct ended ended[CAPTURE_ENDED_MAX]; /* number N is at N modulo their count */
	size_t ended_count;                    /* so far */
} taker = {.lock = PTHREAD_MUTEX_INITIALIZER};

int capture_taker_start(const struct capture_taker_config *config)
{
	static const struct http_pool_config threads = {.name = "take",
		.thread_count = CAPTURE_TAKINGS_MAX,
		.queue_max = CAPTURE_TAKINGS_MAX};

	taker.config = *config;
	/* Pages outlive a desk: the next one's numbers are others. */
	taker.last_id = (unsigned)(clock_realtime_ns() / CLOCK_NS_PER_SEC);
	capture_store_clean(config->store);
	return http_pool_create(&threads, &taker.pool);
}

/* ---- one capture, in its thread ---- */

/* What the sinks below are given. */
struct flow {
	struct taking *taking;
	struct capture_part *part;
};

static int keep_piece(void *data, const void *piece, size_t len_bytes, struct capture_error *error)
{
	const struct flow *flow = data;
	int err = capture_part_write(flow->part, piece, len_bytes, error);

	pthread_mutex_lock(&taker.lock);
	flow->taking->received_bytes = flow->part->size_bytes;
	pthread_mutex_unlock(&taker.lock);
	return err;
}

/* ---- with the kernel's side ---- */

static int send_piece(void *data, const void *piece, size_t len_bytes, struct capture_error *error)
{
	const struct flow *flow = data;

	return recorder_write(flow->taking->recorder_fd, piece, len_bytes, error);
}

static void note_recorder(struct taking *taking, int fd)
{
	pthread_mutex_lock(&taker.lock);
	taking->recorder_fd = fd;
	if (fd >= 0 && taking->is_cancelled) /* before there was one to tell */
		shutdown(fd, SHUT_RDWR);
	pthread_mutex_unlock(&taker.lock);
}

/* The window of the patient begins when the kernel is being recorded. */
static void note_begin(struct taking *taking)
{
	pthread_mutex_lock(&taker.lock);
	taking->begun_ns = clock_monotonic_ns();
	pthread_mutex_unlock(&taker.lock);
}

static int record(struct flow *flow, struct capture_error *error)
{
	struct taking *taking = flow->taking;
	int fd, err = recorder_connect(taker.config.recorder, &fd, error);

	if (err)
		return err;
	note_recorder(taking, fd);
	err = recorder_start(fd, error);
	if (!err) {
		note_begin(taking);
		err = capture_ask(taking->client, &taking->facts, send_piece, flow, error);
	}
	if (!err)
		err = recorder_merge(fd, keep_piece, flow, error);
	note_recorder(taking, -1);
	close(fd);
	return err;
}

/* ---- either ---- */

static int capture(struct taking *taking, struct capture_error *error)
{
	struct capture_part part;
	struct flow flow = {taking, &part};
	int err = capture_part_begin(taker.config.store, taking->name, &part, error);

	if (err)
		return err;
	err = taking->facts.kind->needs_recorder
		      ? record(&flow, error)
		      : capture_ask(taking->client, &taking->facts, keep_piece, &flow, error);
	if (!err)
		return capture_part_keep(&part, error);
	capture_part_drop(&part);
	return err;
}

/* With the lock held. */
static void note_end(const struct taking *done, bool is_kept, const struct capture_error *error)
{
	struct ended *ended = &taker.ended[taker.ended_count++ % CAPTURE_ENDED_MAX];

	ended->id = done->id;
	memcpy(ended->name, done->name, sizeof(ended->name));
	ended->is_kept = is_kept;
	ended->error = *error;
}

static void run(void *data)
{
	struct taking *taking = data;
	struct capture_error error = {""};
	bool is_kept = capture(taking, &error) == 0;
	struct taking done;

	pthread_mutex_lock(&taker.lock);
	if (!is_kept && taking->is_cancelled)
		snprintf(error.text, sizeof(error.text), "It was cancelled.");
	done = *taking;
	*taking = (struct taking){0};
	note_end(&done, is_kept, &error);
	pthread_mutex_unlock(&taker.lock);
	client_free(done.client);
	taker.config.on_end(&(struct capture_end){done.id, done.name, &done.facts,
		clock_realtime_ns() - (clock_monotonic_ns() - done.begun_ns), is_kept, error.text});
}

/* ---- all of them ---- */

static bool is_taken(const char *name)
{
	for (struct taking *t = taker.takings; t < taker.takings + CAPTURE_TAKINGS_MAX; t++)
		if (t->id && strcmp(t->name, name) == 0)
			return true;
	return capture_store_has(taker.config.store, name);
}

/* A name has whole seconds: of two that begin in one, the later has the next. */
static void choose_name(const struct capture_order *order, char name[CAPTURE_NAME_BYTES])
{
	int64_t time_ns = clock_realtime_ns();

	do {
		capture_name_make(name, order->label, &order->facts, time_ns);
		time_ns += CLOCK_NS_PER_SEC;
	} while (is_taken(name));
}

static int start_taking(struct taking *taking, const struct capture_order *order)
{
	struct client_config config = {.base_url = taker.config.patient,
		.answer_timeout_ms = (unsigned)order->facts.seconds * 1000 + PATIENCE_MS};
	char name[CAPTURE_NAME_BYTES];
	struct client *client;
	int err = client_create(&config, &client);

	if (err)
		return err;
	choose_name(order, name);
	*taking = (struct taking){.id = ++taker.last_id,
		.facts = order->facts,
		.begun_ns = clock_monotonic_ns(),
		.client = client,
		.recorder_fd = -1};
	memcpy(taking->name, name, sizeof(name));
	err = http_pool_call(taker.pool, run, taking);
	if (err) {
		*taking = (struct taking){0};
		client_free(client);
	}
	return err;
}

static struct taking *find(unsigned id)
{
	for (struct taking *t = taker.takings; t < taker.takings + CAPTURE_TAKINGS_MAX; t++)
		if (t->id == id)
			return t;
	return NULL;
}

bool capture_taker_can_take(const struct capture_kind *kind)
{
	return !kind->needs_recorder || recorder_stands(taker.config.recorder);
}

static bool is_recording(void)
{
	for (struct taking *t = taker.takings; t < taker.takings + CAPTURE_TAKINGS_MAX; t++)
		if (t->id && t->facts.kind->needs_recorder)
			return true;
	return false;
}

/* With the lock held. Returns what the taking of it can be in. */
static int find_room(
	const struct capture_order *order, struct taking **taking, struct capture_error *error)
{
	const struct capture_kind *kind = order->facts.kind;

	*taking = find(0);
	if (!capture_taker_can_take(kind)) {
		snprintf(error->text, sizeof(error->text),
			"No recorder of the kernel stands here. Start it: "
			"COMPOSE_PROFILES=kernel-trace make up");
		return -ENOENT;
	}
	if (kind->needs_recorder && is_recording()) {
		snprintf(error->text, sizeof(error->text),
			"The kernel is being recorded already: wait for that, or cancel it.");
		return -EBUSY;
	}
	if (*taking)
		return 0;
	snprintf(error->text, sizeof(error->text),
		"%d captures are being taken already: wait for one, or cancel it.",
		CAPTURE_TAKINGS_MAX);
	return -EBUSY;
}

int capture_taker_take(const struct capture_order *order, unsigned *id,
	char name[CAPTURE_NAME_BYTES], struct capture_error *error)
{
	struct taking *taking;
	int err;

	pthread_mutex_lock(&taker.lock);
	err = find_room(order, &taking, error);
	if (!err) {
		err = start_taking(taking, order);
		if (err)
			snprintf(error->text, sizeof(error->text), "The capture cannot begin: %s.",
				strerror(-err));
	}
	if (!err) {
		*id = taking->id;
		memcpy(name, taking->name, sizeof(taking->name));
	}
	pthread_mutex_unlock(&taker.lock);
	return err;
}

/* With the lock held. */
static void cancel(struct taking *taking)
{
	taking->is_cancelled = true;
	client_stop(taking->client);
	if (taking->recorder_fd >= 0)
		shutdown(taking->recorder_fd, SHUT_RDWR);
}

int capture_taker_cancel(unsigned id)
{
	struct taking *taking;

	pthread_mutex_lock(&taker.lock);
	taking = id ? find(id) : NULL;
	if (taking)
		cancel(taking);
	pthread_mutex_unlock(&taker.lock);
	return taking ? 0 : -ENOENT;
}

static int older_first(const void *left, const void *right)
{
	const struct taking *const *a = left, *const *b = right;

	return (*a)->id < (*b)->id ? -1 : 1;
}

static int percent_of(const struct taking *taking)
{
	int64_t passed_ns = clock_monotonic_ns() - taking->begun_ns;

	if (taking->facts.seconds == 0)
		return 0;
	passed_ns = 100 * passed_ns / (taking->facts.seconds * CLOCK_NS_PER_SEC);
	return passed_ns < 100 ? (int)passed_ns : 100;
}

/* With the lock held. Returns how many there are. */
static size_t add_takings(struct strbuf *out)
{
	const struct taking *sorted[CAPTURE_TAKINGS_MAX] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < CAPTURE_TAKINGS_MAX; i++)
		if (taker.takings[i].id)
			sorted[count++] = &taker.takings[i];
	qsort(sorted, count, sizeof(sorted[0]), older_first);
	for (size_t i = 0; i < count; i++)
		strbuf_printf(out,
			"%s{\"id\":%u,\"name\":\"%s\",\"kind\":\"%s\",\"seconds\":%d,"
			"\"percent\":%d,\"bytes\":%" PRId64 "}",
			i ? "," : "", sorted[i]->id, sorted[i]->name, sorted[i]->facts.kind->name,
			sorted[i]->facts.seconds, percent_of(sorted[i]), sorted[i]->received_bytes);
	return count;
}

/* With the lock held. */
static void add_ended(struct strbuf *out)
{
	size_t first = taker.ended_count > CAPTURE_ENDED_MAX ? taker.ended_count - CAPTURE_ENDED_MAX
							     : 0;

	for (size_t i = first; i < taker.ended_count; i++) {
		const struct ended *ended = &taker.ended[i % CAPTURE_ENDED_MAX];

		strbuf_printf(out, "%s{\"id\":%u,\"name\":\"%s\",\"kept\":%s,\"reason\":\"",
			i > first ? "," : "", ended->id, ended->name,
			ended->is_kept ? "true" : "false");
		strbuf_json_escape(out, ended->error.text, strlen(ended->error.text));
		strbuf_puts(out, "\"}");
	}
}

size_t capture_taker_add_json(struct strbuf *out)
{
	size_t count;

	pthread_mutex_lock(&taker.lock);
	strbuf_puts(out, "{\"takings\":[");
	count = add_takings(out);
	strbuf_puts(out, "],\"ended\":[");
	add_ended(out);
	strbuf_puts(out, "]}");
	pthread_mutex_unlock(&taker.lock);
	return count;
}

void capture_taker_stop(void)
{
	pthread_mutex_lock(&taker.lock);
	for (struct taking *t = taker.takings; t < taker.takings + CAPTURE_TAKINGS_MAX; t++)
		if (t->id)
			cancel(t);
	pthread_mutex_unlock(&taker.lock);
	http_pool_stop(taker.pool, STOP_WAIT_MS);
}
