#include "desk/capture_taker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "http/http.h"

#define PIECE_BYTES (64 * 1024)
#define PATIENCE_MS 20000 /* what an answer may take beyond its window: a sick patient is slow */
#define STOP_WAIT_MS 1000

struct taking {
	unsigned id; /* 0: the slot is free */
	struct capture_facts facts;
	char name[CAPTURE_NAME_BYTES];
	int64_t begun_ns;
	int64_t received_bytes;
	struct client *client;
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

static int explain_patient(int err, struct capture_error *error)
{
	if (err == -ECANCELED)
		snprintf(error->text, sizeof(error->text), "It was cancelled.");
	else if (err == -ECONNREFUSED || err == -EHOSTUNREACH)
		snprintf(error->text, sizeof(error->text),
			"The patient is down: nothing was captured.");
	else
		snprintf(error->text, sizeof(error->text),
			"The patient did not finish it (%s): nothing was kept.", strerror(-err));
	return err;
}

/* What the patient says to what it refuses is a sentence. */
static int explain_refusal(struct client_response *response, struct capture_error *error)
{
	char said[256];
	ssize_t len_bytes = client_read(response, said, sizeof(said));

	while (len_bytes > 0 && (unsigned char)said[len_bytes - 1] <= ' ')
		len_bytes--;
	snprintf(error->text, sizeof(error->text), "The patient answered %d: %.*s",
		client_status(response), len_bytes > 0 ? (int)len_bytes : 0, said);
	return -EPROTO;
}

static void note_received(struct taking *taking, int64_t size_bytes)
{
	pthread_mutex_lock(&taker.lock);
	taking->received_bytes = size_bytes;
	pthread_mutex_unlock(&taker.lock);
}

static int receive(struct taking *taking, struct client_response *response,
	struct capture_part *part, struct capture_error *error)
{
	char *piece = xmalloc(PIECE_BYTES);
	ssize_t len_bytes;
	int err = 0;

	while (!err && (len_bytes = client_read(response, piece, PIECE_BYTES)) != 0) {
		if (len_bytes < 0) {
			err = explain_patient((int)len_bytes, error);
			break;
		}
		err = capture_part_write(part, piece, (size_t)len_bytes, error);
		note_received(taking, part->size_bytes);
	}
	free(piece);
	return err;
}

static int ask(struct taking *taking, struct capture_part *part, struct capture_error *error)
{
	const struct capture_kind *kind = taking->facts.kind;
	struct client_response *response;
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/debug/pprof/%s?seconds=%d", kind->profile,
		taking->facts.seconds);
	if (taking->facts.seconds == 0)
		*strchr(path, '?') = '\0';
	err = client_open(taking->client, path, &response, NULL);
	if (err)
		return explain_patient(err, error);
	err = client_status(response) == 200 ? receive(taking, response, part, error)
					     : explain_refusal(response, error);
	client_close(response);
	return err;
}

static int capture(struct taking *taking, struct capture_error *error)
{
	struct capture_part part;
	int err = capture_part_begin(taker.config.store, taking->name, &part, error);

	if (err)
		return err;
	err = ask(taking, &part, error);
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
		.client = client};
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

int capture_taker_take(const struct capture_order *order, unsigned *id,
	char name[CAPTURE_NAME_BYTES], struct capture_error *error)
{
	struct taking *taking;
	int err = -EBUSY;

	pthread_mutex_lock(&taker.lock);
	taking = find(0);
	if (taking)
		err = start_taking(taking, order);
	if (!err) {
		*id = taking->id;
		memcpy(name, taking->name, sizeof(taking->name));
	}
	pthread_mutex_unlock(&taker.lock);
	if (err == -EBUSY)
		snprintf(error->text, sizeof(error->text),
			"%d captures are being taken already: wait for one, or cancel it.",
			CAPTURE_TAKINGS_MAX);
	else if (err)
		snprintf(error->text, sizeof(error->text), "The capture cannot begin: %s.",
			strerror(-err));
	return err;
}

int capture_taker_cancel(unsigned id)
{
	struct taking *taking;

	pthread_mutex_lock(&taker.lock);
	taking = id ? find(id) : NULL;
	if (taking)
		client_stop(taking->client);
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
			client_stop(t->client);
	pthread_mutex_unlock(&taker.lock);
	http_pool_stop(taker.pool, STOP_WAIT_MS);
}
