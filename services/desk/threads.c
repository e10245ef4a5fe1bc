#include "desk/threads.h"

#include <errno.h>
#include <string.h>

#include "client/client.h"
#include "common/clock.h"
#include "common/strbuf.h"
#include "desk/pages.h"

/* 10,000 threads with a stack of 20 frames each. */
#define DUMP_MAX_BYTES (32 * 1024 * 1024)
#define PIECE_BYTES (64 * 1024)

static struct client *patient_client;
static struct http_pool *threads_pool;

/* Returns 0 or -errno. */
static int receive(struct client_response *response, int64_t end_ns, struct strbuf *out)
{
	for (;;) {
		ssize_t got_bytes = client_read(
			response, strbuf_reserve(out, PIECE_BYTES), PIECE_BYTES);

		if (got_bytes <= 0)
			return (int)got_bytes;
		strbuf_grew(out, (size_t)got_bytes);
		if (out->len_bytes > DUMP_MAX_BYTES)
			return -EFBIG;
		if (clock_monotonic_ns() > end_ns)
			return -ETIMEDOUT;
	}
}

static void refuse(struct http_job *job, int err, const char *why)
{
	if (err == -ETIMEDOUT)
		http_reply_text(job, 504,
			"The patient did not show its threads within %d s. It is slow, or stands "
			"still; try again.",
			THREADS_PATIENCE_MS / 1000);
	else
		http_reply_text(job, 502,
			"The patient does not show its threads: %s. When it is back, try again.",
			why);
}

static void threads_work(struct http_job *job)
{
	int64_t end_ns = clock_monotonic_ns() + THREADS_PATIENCE_MS * CLOCK_NS_PER_MS;
	struct client_response *response;
	struct client_error error;
	struct strbuf dump = STRBUF_INIT;
	int status, err = client_open(
			    patient_client, "/debug/pprof/threads?debug=2", &response, &error);

	if (err) {
		refuse(job, err, error.text);
		return;
	}
	status = client_status(response);
	err = receive(response, end_ns, &dump);
	client_close(response);
	if (err)
		refuse(job, err, strerror(-err));
	else if (status != 200)
		http_reply_text(job, 502, "The patient answered %d instead of its threads: %.200s",
			status, dump.len_bytes ? dump.data : "");
	else
		http_reply_strbuf(job, 200, "text/plain; charset=utf-8", &dump);
	strbuf_free(&dump);
}

static void threads(struct http_job *job)
{
	pages_add_headers(job);
	http_submit_or_refuse(job, threads_pool, threads_work);
}

int threads_mount(struct http_server *server, struct http_pool *pool, const char *patient)
{
	static const struct http_route route = {"/patient/threads", HTTP_GET, threads, NULL};
	const struct client_config config = {
		.base_url = patient,
		.connect_timeout_ms = THREADS_PATIENCE_MS,
		.answer_timeout_ms = THREADS_PATIENCE_MS,
	};

	threads_pool = pool;
	http_server_add_routes(server, &route, 1);
	return client_create(&config, &patient_client);
}

void threads_stop(void)
{
	client_stop(patient_client);
}
