#include "desk/capture_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

#define PIECE_BYTES (64 * 1024)

static int explain_patient(int err, struct capture_error *error)
{
	if (err == -ECONNREFUSED || err == -EHOSTUNREACH)
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

static int receive(struct client_response *response, capture_sink *sink, void *context,
	struct capture_error *error)
{
	char *piece = xmalloc(PIECE_BYTES);
	ssize_t len_bytes;
	int err = 0;

	while (!err && (len_bytes = client_read(response, piece, PIECE_BYTES)) != 0)
		err = len_bytes < 0 ? explain_patient((int)len_bytes, error)
				    : sink(context, piece, (size_t)len_bytes, error);
	free(piece);
	return err;
}

int capture_ask(struct client *client, const struct capture_facts *facts, capture_sink *sink,
	void *context, struct capture_error *error)
{
	struct client_response *response;
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/debug/pprof/%s?seconds=%d", facts->kind->profile,
		facts->seconds);
	if (facts->seconds == 0)
		*strchr(path, '?') = '\0';
	err = client_open(client, path, &response, NULL);
	if (err)
		return explain_patient(err, error);
	err = client_status(response) == 200 ? receive(response, sink, context, error)
					     : explain_refusal(response, error);
	client_close(response);
	return err;
}
