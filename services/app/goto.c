/* /goto: changes the disease. Without a step it tells which one the patient has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/routes.h"
#include "app/step.h"
#include "http/params.h"

struct http_pool *control_pool;

static void reply_current(struct http_job *job)
{
	struct strbuf text = STRBUF_INIT;
	bool fixed;
	int current = step_current(&fixed);

	strbuf_printf(&text, "step %d%s\n\n", current, fixed ? " (fixed)" : "");
	for (int step = 0; step < STEP_COUNT; step++)
		strbuf_printf(&text, "/goto?step=%d  %-15s  %s\n", step, step_fault(step)->name,
			step_fault(step)->does);
	strbuf_puts(&text, "\n&variant=fixed does the same work without the fault\n");
	http_reply_strbuf(job, 200, "text/plain; charset=utf-8", &text);
}

static void reply_bad_step(struct http_job *job)
{
	http_reply_text(job, 400, "step must be 0 to %d, for example /goto?step=2", STEP_COUNT - 1);
}

static bool parse(struct http_job *job, int *step, bool *fixed)
{
	const char *query = http_query(job);
	char variant[8];
	int64_t number;

	if (params_int(query, "step", -1, 0, STEP_COUNT - 1, &number) != 0 || number < 0) {
		reply_bad_step(job);
		return false;
	}
	if (params_string(query, "variant", "leaky", variant, sizeof(variant)) != 0 ||
		(strcmp(variant, "leaky") != 0 && strcmp(variant, "fixed") != 0)) {
		http_reply_text(job, 400,
			"variant must be leaky or fixed, for example /goto?step=2&variant=fixed");
		return false;
	}
	*step = (int)number;
	*fixed = strcmp(variant, "fixed") == 0;
	return true;
}

static void goto_work(struct http_job *job)
{
	bool fixed;
	int step, err;

	if (!parse(job, &step, &fixed))
		return;
	err = step_switch(step, fixed);
	if (err == -ETIMEDOUT)
		http_reply_text(job, 503,
			"requests of the old step have not ended yet; the patient is at step 0, "
			"try again in a moment");
	else if (err)
		http_reply_text(job, 500, "could not enter step %d: %s; the patient is at step 0",
			step, strerror(-err));
	else
		http_reply_text(job, 200, "switched to step %d%s", step, fixed ? " (fixed)" : "");
}

void goto_route(struct http_job *job)
{
	if (http_query(job)[0] == '\0')
		reply_current(job);
	else if (http_submit(job, control_pool, goto_work) != 0)
		http_reply_text(job, 503, "too many switches at once; try again in a moment");
}
