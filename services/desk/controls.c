#include "desk/controls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "desk/patient.h"
#include "desk/requests.h"
#include "http/params.h"

#define COUNT_MAX 10
#define GOTO_MS 10000

static struct client *client;
static struct http_pool *control_pool;

/* ---- steps ---- */

/* The patient's own sentence, as far as it is one. */
static void pass_on(struct http_job *job, int status, struct strbuf *text)
{
	struct strbuf sentence = STRBUF_INIT;

	if (text->len_bytes > 512)
		text->len_bytes = 512;
	strbuf_add_utf8(&sentence, text->data, text->len_bytes);
	http_reply_strbuf(job, status, "text/plain; charset=utf-8", &sentence);
}

static void enter_step(struct http_job *job, int step, const char *variant)
{
	struct client_error error = {""};
	struct strbuf text = STRBUF_INIT;
	char path[64];
	int status;

	snprintf(path, sizeof(path), "/goto?step=%d&variant=%s", step, variant);
	status = patient_get(client, path, GOTO_MS, &text, &error);
	patient_look();
	if (status < 0)
		http_reply_text(job, 502,
			"The patient does not answer (%s). On the host, type: make reset",
			error.text);
	else
		pass_on(job, status, &text);
	strbuf_free(&text);
}

static void goto_work(struct http_job *job)
{
	char variant[PATIENT_VARIANT_BYTES];
	int64_t step;

	if (params_int(http_body(job, NULL), "step", -1, 0, PATIENT_STEPS_MAX - 1, &step) != 0 ||
		step < 0)
		http_reply_text(job, 400, "step must be the number of a step.");
	else if (params_string(
			 http_body(job, NULL), "variant", "leaky", variant, sizeof(variant)) != 0 ||
		 (strcmp(variant, "leaky") != 0 && strcmp(variant, "fixed") != 0))
		http_reply_text(job, 400, "variant must be leaky or fixed.");
	else
		enter_step(job, (int)step, variant);
}

static void reset_work(struct http_job *job)
{
	requests_set_rate(0);
	enter_step(job, 0, "leaky");
}

static void on_goto(struct http_job *job)
{
	http_submit_or_refuse(job, control_pool, goto_work);
}

static void on_reset(struct http_job *job)
{
	http_submit_or_refuse(job, control_pool, reset_work);
}

/* ---- requests ---- */

static void send_some(struct http_job *job, unsigned count)
{
	if (requests_send(count) != 0)
		http_reply_text(job, 429,
			"The patient still owes the desk answers, and no more than %d requests "
			"may wait. Another step lets them go.",
			REQUESTS_MAX);
	else
		http_reply_text(job, 202,
			count == 1 ? "One request is under way." : "%u requests are under way.",
			count);
}

static void on_requests(struct http_job *job)
{
	int64_t count, rate;

	if (params_int(http_body(job, NULL), "count", 0, 1, COUNT_MAX, &count) != 0)
		http_reply_text(job, 400, "count must be 1 to %d.", COUNT_MAX);
	else if (params_int(http_body(job, NULL), "rate", -1, 0, REQUESTS_RATE_MAX, &rate) != 0)
		http_reply_text(job, 400, "rate must be 0 to %d a second.", REQUESTS_RATE_MAX);
	else if (count > 0) {
		send_some(job, (unsigned)count);
	} else if (rate >= 0) {
		requests_set_rate((unsigned)rate);
		http_reply_text(
			job, 200, rate ? "%d requests a second." : "No more requests.", (int)rate);
	} else {
		http_reply_text(job, 400, "count or rate is missing.");
	}
}

int controls_mount(struct http_server *server, struct http_pool *pool, const char *base_url)
{
	static const struct http_route routes[] = {
		{"/patient/goto", HTTP_POST, on_goto, NULL},
		{"/patient/reset", HTTP_POST, on_reset, NULL},
		{"/patient/requests", HTTP_POST, on_requests, NULL},
	};
	const struct client_config asks = {.base_url = base_url, .idle_max = 1};

	control_pool = pool;
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
	return client_create(&asks, &client);
}

void controls_stop(void)
{
	client_stop(client);
}
