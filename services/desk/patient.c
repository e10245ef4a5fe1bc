#include "desk/patient.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "desk/hub.h"
#include "desk/vitals.h"

#define LOOK_NS CLOCK_NS_PER_SEC
#define ANSWER_MS 800 /* and a look each second: what is wrong shows within 2 s */
#define WHY_BYTES 280

enum health { HEALTH_UNKNOWN, HEALTH_OK, HEALTH_SLOW, HEALTH_DOWN };

static const char *const health_names[] = {[HEALTH_UNKNOWN] = "down",
	[HEALTH_OK] = "ok",
	[HEALTH_SLOW] = "slow",
	[HEALTH_DOWN] = "down"};

static struct client *client;
static pthread_t thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards these, up to waiting_ms */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_stopped, must_look;
static struct patient_now now_known = {.step = -1};
static int64_t waiting_ms;

/* Of the thread that looks. */
static struct patient_numbers numbers;
static struct patient_step steps[PATIENT_STEPS_MAX];
static size_t step_count;
static enum health health;
static int64_t healthy_since_ns;
static char why[WHY_BYTES];

/* ---- asking ---- */

int patient_get(struct client *asker, const char *path, unsigned total_ms, struct strbuf *text,
	struct client_error *error)
{
	int64_t end_ns = clock_monotonic_ns() + total_ms * CLOCK_NS_PER_MS;
	struct client_response *response;
	char some[16 * 1024];
	ssize_t got;
	int result = client_open(asker, path, &response, error);

	if (result)
		return result;
	result = client_status(response);
	while ((got = client_read(response, some, sizeof(some))) > 0) {
		if (text->len_bytes + (size_t)got > PATIENT_TEXT_MAX_BYTES) {
			got = -EFBIG;
			break;
		}
		if (clock_monotonic_ns() > end_ns) {
			got = -ETIMEDOUT;
			break;
		}
		strbuf_add(text, some, (size_t)got);
	}
	client_close(response);
	if (got < 0 && error)
		snprintf(error->text, sizeof(error->text), "its answer: %s", strerror((int)-got));
	return got < 0 ? (int)got : result;
}

/* What follows a NUL is not read. */
static int get_text(const char *path, struct strbuf *text, struct client_error *error)
{
	int status = patient_get(client, path, ANSWER_MS, text, error);

	if (status >= 0 && (status != 200 || text->len_bytes == 0)) {
		snprintf(error->text, sizeof(error->text), "%s: status %d", path, status);
		return -EBADMSG;
	}
	return status < 0 ? status : 0;
}

static int ask_numbers(struct patient_numbers *result, struct client_error *error)
{
	struct strbuf text = STRBUF_INIT;
	int err = get_text("/metrics", &text, error);

	if (!err && patient_read_numbers(text.data, result) != 0) {
		snprintf(error->text, sizeof(error->text), "what answers there is no patient");
		err = -EBADMSG;
	}
	strbuf_free(&text);
	return err;
}

static void ask_steps(void)
{
	struct strbuf text = STRBUF_INIT;
	struct client_error error;

	if (get_text("/goto", &text, &error) != 0 ||
		patient_read_steps(text.data, steps, &step_count) != 0)
		step_count = 0; /* the next look tries again */
	strbuf_free(&text);
}

/* ---- telling ---- */

static void set_health(enum health is, const char *because)
{
	if (health != is)
		healthy_since_ns = clock_monotonic_ns();
	health = is;
	snprintf(why, sizeof(why), "%s", because);
}

static void add_steps(struct strbuf *out)
{
	for (size_t i = 0; i < step_count; i++) {
		strbuf_printf(out, "%s{\"number\":%d,\"name\":\"", i ? "," : "", steps[i].number);
		strbuf_json_escape(out, steps[i].name, strlen(steps[i].name));
		strbuf_puts(out, "\",\"does\":\"");
		strbuf_json_escape(out, steps[i].does, strlen(steps[i].does));
		strbuf_puts(out, "\"}");
	}
}

static void add_known(struct strbuf *out, const struct patient_now *now)
{
	double uptime_s = (double)clock_realtime_ns() / CLOCK_NS_PER_SEC - numbers.start_s;

	if (now->up && !isnan(numbers.pid))
		strbuf_printf(out, ",\"pid\":%.0f", numbers.pid);
	else
		strbuf_puts(out, ",\"pid\":null");
	if (now->up && !isnan(uptime_s))
		strbuf_printf(out, ",\"uptime_s\":%.0f", fmax(uptime_s, 0));
	else
		strbuf_puts(out, ",\"uptime_s\":null");
	if (now->step >= 0)
		strbuf_printf(out, ",\"step\":%d,\"variant\":\"%s\"", now->step, now->variant);
	else
		strbuf_puts(out, ",\"step\":null,\"variant\":null");
}

static void publish(void)
{
	struct patient_now now = patient_now();
	struct strbuf json = STRBUF_INIT;

	strbuf_printf(&json, "{\"up\":%s", now.up ? "true" : "false");
	add_known(&json, &now);
	strbuf_puts(&json, ",\"steps\":[");
	add_steps(&json);
	strbuf_printf(&json, "],\"health\":\"%s\",\"since_s\":%lld,\"why\":\"",
		health_names[health],
		(long long)((clock_monotonic_ns() - healthy_since_ns) / CLOCK_NS_PER_SEC));
	strbuf_json_escape(&json, why, strlen(why));
	strbuf_puts(&json, "\"}");
	hub_publish("patient", &json);
	strbuf_free(&json);
}

/* ---- looking ---- */

static void learn_step(const struct patient_numbers *seen)
{
	char mark[VITALS_MARK_BYTES];
	bool is_new = seen->step >= 0 &&
		      (seen->step != numbers.step || strcmp(seen->variant, numbers.variant) != 0);

	if (is_new && health != HEALTH_UNKNOWN) {
		snprintf(mark, sizeof(mark), "step %d%s", seen->step,
			strcmp(seen->variant, "fixed") == 0 ? " fixed" : "");
		vitals_mark(mark);
	}
}

static void learn(const struct patient_numbers *seen)
{
	bool is_another = seen->start_s != numbers.start_s; /* a time is whole for its life */

	if (is_another && health != HEALTH_UNKNOWN)
		vitals_mark("restarted");
	learn_step(seen);
	if (is_another)
		step_count = 0;
	numbers = *seen;
	if (step_count == 0)
		ask_steps();
	pthread_mutex_lock(&lock);
	now_known.up = true;
	now_known.step = seen->step;
	snprintf(now_known.variant, sizeof(now_known.variant), "%s", seen->variant);
	pthread_mutex_unlock(&lock);
}

static void judge(int err, const struct client_error *error, int64_t waits_ms)
{
	char because[WHY_BYTES] = "";

	if (err && err != -ETIMEDOUT) {
		if (health == HEALTH_OK || health == HEALTH_SLOW)
			vitals_mark("down");
		set_health(HEALTH_DOWN, error->text);
	} else if (err) {
		snprintf(because, sizeof(because), "it did not answer within %.1f s",
			ANSWER_MS / 1e3);
		set_health(HEALTH_SLOW, because);
	} else if (waits_ms >= PATIENT_SLOW_MS) {
		snprintf(because, sizeof(because), "a request has been waiting for %lld s",
			(long long)(waits_ms / 1000));
		set_health(HEALTH_SLOW, because);
	} else {
		set_health(HEALTH_OK, "");
	}
}

/* IS_SAMPLE: it is also time for the vitals. */
static void look(bool is_sample)
{
	struct patient_numbers seen;
	struct client_error error = {""};
	int64_t waits_ms;
	int err = ask_numbers(&seen, &error);

	if (!err)
		learn(&seen);
	pthread_mutex_lock(&lock);
	waits_ms = waiting_ms;
	if (err)
		now_known.up = err == -ETIMEDOUT;
	pthread_mutex_unlock(&lock);
	judge(err, &error, waits_ms);
	publish();
	if (is_sample)
		vitals_add(err ? NULL : &seen, waits_ms);
}

/* Waits until DUE_NS, or until it must look earlier. Returns whether it goes on. */
static bool await(int64_t due_ns)
{
	const struct timespec until = {due_ns / CLOCK_NS_PER_SEC, due_ns % CLOCK_NS_PER_SEC};
	bool goes_on;

	pthread_mutex_lock(&lock);
	while (!is_stopped && !must_look &&
		pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &until) == 0)
		;
	must_look = false;
	goes_on = !is_stopped;
	pthread_mutex_unlock(&lock);
	return goes_on;
}

static void *run(void *unused)
{
	int64_t due_ns = clock_monotonic_ns();

	pthread_setname_np(pthread_self(), "patient");
	while (await(due_ns)) {
		int64_t now_ns = clock_monotonic_ns();

		look(now_ns >= due_ns);
		if (now_ns >= due_ns)
			due_ns = now_ns + LOOK_NS;
	}
	return unused;
}

/* ---- what others may ask ---- */

struct patient_now patient_now(void)
{
	struct patient_now now;

	pthread_mutex_lock(&lock);
	now = now_known;
	pthread_mutex_unlock(&lock);
	return now;
}

void patient_look(void)
{
	pthread_mutex_lock(&lock);
	must_look = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

void patient_tell_waiting(int64_t told_ms)
{
	pthread_mutex_lock(&lock);
	must_look = must_look || (told_ms >= PATIENT_SLOW_MS) != (waiting_ms >= PATIENT_SLOW_MS);
	waiting_ms = told_ms;
	if (must_look)
		pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

int patient_start(const char *base_url)
{
	const struct client_config config = {.base_url = base_url,
		.idle_max = 1,
		.connect_timeout_ms = ANSWER_MS,
		.answer_timeout_ms = ANSWER_MS};
	int err = client_create(&config, &client);

	if (err)
		return err;
	healthy_since_ns = clock_monotonic_ns();
	err = -pthread_create(&thread, NULL, run, NULL);
	if (err)
		client_free(client);
	return err;
}

void patient_stop(void)
{
	pthread_mutex_lock(&lock);
	is_stopped = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	client_stop(client);
	pthread_join(thread, NULL);
	client_free(client);
}
