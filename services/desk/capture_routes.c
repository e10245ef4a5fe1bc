#include "desk/capture_routes.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "desk/capture_name.h"
#include "desk/capture_news.h"
#include "desk/capture_taker.h"
#include "desk/patient.h"
#include "http/params.h"

#define SECONDS_MAX 300 /* the patient's own bound */
#define KIND_BYTES 32

static const struct capture_store *store;
static struct http_pool *page_pool;

/* ---- answers ---- */

static void reply_error(struct http_job *job, int err, const char *sentence)
{
	static const struct {
		int err, status;
	} statuses[] = {{-EINVAL, 400}, {-ENOENT, 404}, {-EEXIST, 409}, {-EBUSY, 409},
		{-EACCES, 403}, {-EPERM, 403}, {-EROFS, 403}, {-EDQUOT, 507}, {-ENOSPC, 507}};
	int status = 500;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].err == err)
			status = statuses[i].status;
	http_reply_text(job, status, "%s", sentence);
}

static void reply_done(struct http_job *job, int err, const struct capture_error *error)
{
	if (err)
		reply_error(job, err, error->text);
	else
		http_reply_text(job, 200, "Done.");
	capture_news_look();
}

/* A field that must be there; too long is as wrong as missing. Answers where it is. */
static int read_name(struct http_job *job, const char *field, char name[CAPTURE_NAME_BYTES])
{
	int err = params_string(http_body(job, NULL), field, "", name, CAPTURE_NAME_BYTES);

	if (!err && *name)
		return 0;
	http_reply_text(job, 400, "The field '%s' must be the name of a capture.", field);
	return -EINVAL;
}

/* ---- taking ---- */

static int read_kind(struct http_job *job, const struct capture_kind **kind)
{
	char name[KIND_BYTES];

	*kind = NULL;
	if (params_string(http_body(job, NULL), "kind", "", name, sizeof(name)) == 0)
		*kind = capture_kind_find(name, strlen(name));
	if (*kind)
		return 0;
	http_reply_text(job, 400,
		"The field 'kind' must be cpu, heap, threads, wall, mutex, block, fd, connections, "
		"sched, trace or kernel.");
	return -EINVAL;
}

static int read_order(struct http_job *job, struct capture_order *order)
{
	const struct patient_now patient = patient_now();
	const struct capture_kind *kind;
	int64_t seconds;

	if (read_kind(job, &kind) != 0)
		return -EINVAL;
	if (params_int(http_body(job, NULL), "seconds", kind->seconds, kind->needs_window,
		    SECONDS_MAX, &seconds) != 0) {
		http_reply_text(job, 400,
			"The field 'seconds' must be a whole number from %d to %d.",
			kind->needs_window, SECONDS_MAX);
		return -EINVAL;
	}
	if (params_string(http_body(job, NULL), "name", "", order->label, sizeof(order->label)) !=
			0 ||
		(*order->label && !capture_label_is_good(order->label))) {
		http_reply_text(job, 400, CAPTURE_LABEL_RULE);
		return -EINVAL;
	}
	order->facts = (struct capture_facts){.kind = kind,
		.step = patient.step < 0 ? CAPTURE_STEP_UNKNOWN : patient.step,
		.is_fixed = strcmp(patient.variant, "fixed") == 0,
		.seconds = (int)seconds};
	return 0;
}

static void take(struct http_job *job)
{
	struct capture_order order;
	struct capture_error error = {""};
	struct strbuf out = STRBUF_INIT;
	char name[CAPTURE_NAME_BYTES];
	unsigned id;
	int err;

	if (read_order(job, &order) != 0)
		return;
	err = capture_taker_take(&order, &id, name, &error);
	if (err) {
		reply_error(job, err, error.text);
		return;
	}
	capture_news_look();
	strbuf_printf(&out, "{\"id\":%u,\"name\":\"%s\"}", id, name);
	http_reply_strbuf(job, 202, "application/json", &out);
}

static void cancel(struct http_job *job)
{
	int64_t id;

	if (params_int(http_body(job, NULL), "id", 0, 1, UINT_MAX, &id) != 0 || id == 0)
		http_reply_text(job, 400, "The field 'id' must be that of a capture under way.");
	else if (capture_taker_cancel((unsigned)id) != 0)
		http_reply_text(job, 404, "This capture is not under way any more.");
	else
		http_reply_text(job, 200, "Done.");
}

static void list_kinds(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;
	const struct capture_kind *kind;

	for (size_t i = 0; (kind = capture_kind_at(i)); i++) {
		if (!capture_taker_can_take(kind))
			continue;
		strbuf_printf(&out,
			"%s{\"kind\":\"%s\",\"does\":\"%s\",\"seconds\":%d,\"needs_window\":%s}",
			i ? "," : "[", kind->name, kind->does, kind->seconds,
			kind->needs_window ? "true" : "false");
	}
	strbuf_puts(&out, "]");
	http_reply_strbuf(job, 200, "application/json", &out);
}

/* ---- what there is ---- */

static void delete_work(struct http_job *job)
{
	char name[CAPTURE_NAME_BYTES];
	struct capture_error error = {""};

	if (read_name(job, "name", name) == 0)
		reply_done(job, capture_store_delete(store, name, &error), &error);
}

static void rename_work(struct http_job *job)
{
	char name[CAPTURE_NAME_BYTES], to[CAPTURE_NAME_BYTES], result[CAPTURE_NAME_BYTES];
	struct capture_error error = {""};

	if (read_name(job, "name", name) == 0 && read_name(job, "to", to) == 0)
		reply_done(job, capture_store_rename(store, name, to, result, &error), &error);
}

static void delete (struct http_job *job)
{
	http_submit_or_refuse(job, page_pool, delete_work);
}

static void rename_to(struct http_job *job)
{
	http_submit_or_refuse(job, page_pool, rename_work);
}

void capture_routes_mount(
	struct http_server *server, struct http_pool *pool, const struct capture_store *of)
{
	static const struct http_route routes[] = {
		{"/capture/kinds", HTTP_GET, list_kinds, NULL},
		{"/capture/take", HTTP_POST, take, NULL},
		{"/capture/cancel", HTTP_POST, cancel, NULL},
		{"/capture/delete", HTTP_POST, delete, NULL},
		{"/capture/rename", HTTP_POST, rename_to, NULL},
	};

	store = of;
	page_pool = pool;
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
}
