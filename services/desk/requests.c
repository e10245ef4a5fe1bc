#include "desk/requests.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "client/client.h"
#include "common/clock.h"
#include "desk/hub.h"
#include "desk/patient.h"
#include "desk/vitals.h"

#define TICK_NS (250 * CLOCK_NS_PER_MS)
#define ANSWER_MS 120000
#define STOP_MS 500

struct slot {
	int64_t begin_ns; /* 0: free */
	int step;
};

static struct client *client;
static struct http_pool *pool; /* a thread for each slot */
static pthread_t thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct slot slots[REQUESTS_MAX];
static unsigned in_flight_count;
static unsigned rate, held_back_count;
static bool is_stopped;

/* ---- one request ---- */

static void publish_answer(const struct slot *slot, int64_t end_ns, int status, const char *why)
{
	struct strbuf json = STRBUF_INIT;

	strbuf_printf(&json, "{\"ms\":%.1f,\"status\":%d,\"step\":%d,\"why\":\"",
		(double)(end_ns - slot->begin_ns) / CLOCK_NS_PER_MS, status, slot->step);
	strbuf_json_escape(&json, why, strlen(why));
	strbuf_puts(&json, "\"}");
	hub_publish_passing("answer", &json);
	strbuf_free(&json);
}

static void ask(void *data)
{
	struct slot *slot = data, was;
	struct strbuf text = STRBUF_INIT;
	struct client_error error = {""};
	int status = patient_get(client, "/", ANSWER_MS, &text, &error);
	int64_t end_ns = clock_monotonic_ns();

	strbuf_free(&text);
	pthread_mutex_lock(&lock);
	was = *slot;
	slot->begin_ns = 0;
	in_flight_count--;
	pthread_mutex_unlock(&lock);
	publish_answer(&was, end_ns, status < 0 ? 0 : status, error.text);
	if (status >= 0)
		vitals_add_answer((double)(end_ns - was.begin_ns) / CLOCK_NS_PER_MS);
}

/* With the lock held, and one free. */
static struct slot *take_slot(int step)
{
	struct slot *slot = slots;

	while (slot->begin_ns)
		slot++;
	*slot = (struct slot){clock_monotonic_ns(), step};
	in_flight_count++;
	return slot;
}

int requests_send(unsigned count)
{
	struct slot *taken[REQUESTS_MAX];
	int step = patient_now().step;
	bool fits;

	pthread_mutex_lock(&lock);
	fits = !is_stopped && in_flight_count + count <= REQUESTS_MAX;
	for (unsigned i = 0; fits && i < count; i++)
		taken[i] = take_slot(step);
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; fits && i < count; i++)
		if (http_pool_call(pool, ask, taken[i]) != 0)
			ask(taken[i]); /* the pool stops, and so does the client: it ends at once */
	return fits ? 0 : -EAGAIN;
}

/* ---- the thread of the steady ones, which also tells how it goes ---- */

struct load {
	unsigned rate, in_flight, held_back;
	int64_t waiting_ms;
};

static struct load look(void)
{
	struct load load;
	int64_t now_ns = clock_monotonic_ns(), oldest_ns = now_ns;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < REQUESTS_MAX; i++)
		if (slots[i].begin_ns && slots[i].begin_ns < oldest_ns)
			oldest_ns = slots[i].begin_ns;
	load = (struct load){
		rate, in_flight_count, held_back_count, (now_ns - oldest_ns) / CLOCK_NS_PER_MS};
	pthread_mutex_unlock(&lock);
	return load;
}

static void tell(const struct load *before, const struct load *now)
{
	struct strbuf json = STRBUF_INIT;

	patient_tell_waiting(now->waiting_ms);
	if (before->rate == now->rate && before->in_flight == now->in_flight &&
		before->held_back == now->held_back)
		return;
	strbuf_printf(&json, "{\"rate\":%u,\"in_flight\":%u,\"held_back\":%u}", now->rate,
		now->in_flight, now->held_back);
	hub_publish("load", &json);
	strbuf_free(&json);
}

static void send_steady(void)
{
	if (requests_send(1) == 0)
		return;
	pthread_mutex_lock(&lock);
	held_back_count++;
	pthread_mutex_unlock(&lock);
}

/* Waits until DUE_NS, or until the rate is another. Returns false when it is over. */
static bool await(int64_t due_ns, unsigned known_rate)
{
	const struct timespec until = {due_ns / CLOCK_NS_PER_SEC, due_ns % CLOCK_NS_PER_SEC};
	bool goes_on;

	pthread_mutex_lock(&lock);
	while (!is_stopped && rate == known_rate &&
		pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &until) == 0)
		;
	goes_on = !is_stopped;
	pthread_mutex_unlock(&lock);
	return goes_on;
}

static void *run(void *unused)
{
	struct load told = {.rate = REQUESTS_RATE_MAX + 1}, now = {0};
	int64_t send_ns = 0, tell_ns = 0, next_ns = 0;

	pthread_setname_np(pthread_self(), "requests");
	while (await(next_ns, now.rate)) {
		int64_t now_ns = clock_monotonic_ns();
		unsigned old_rate = now.rate;

		now = look();
		if (now.rate != old_rate)
			send_ns = now_ns;
		if (now.rate && now_ns >= send_ns) {
			send_steady();
			send_ns = now_ns + CLOCK_NS_PER_SEC / now.rate;
		}
		if (now_ns >= tell_ns) {
			tell(&told, &now);
			told = now;
			tell_ns = now_ns + TICK_NS;
		}
		next_ns = now.rate && send_ns < tell_ns ? send_ns : tell_ns;
	}
	return unused;
}

void requests_set_rate(unsigned wanted)
{
	pthread_mutex_lock(&lock);
	if (rate != wanted)
		held_back_count = 0;
	rate = wanted;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

int requests_start(const char *base_url)
{
	const struct client_config asks = {
		.base_url = base_url, .idle_max = 4, .answer_timeout_ms = ANSWER_MS};
	const struct http_pool_config threads = {
		.name = "request", .thread_count = REQUESTS_MAX, .queue_max = REQUESTS_MAX};
	int err = client_create(&asks, &client);

	if (!err)
		err = http_pool_create(&threads, &pool);
	return err ? err : -pthread_create(&thread, NULL, run, NULL);
}

void requests_stop(void)
{
	pthread_mutex_lock(&lock);
	is_stopped = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	client_stop(client);
	http_pool_stop(pool, STOP_MS);
}
