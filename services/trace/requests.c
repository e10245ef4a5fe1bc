#include "trace/requests.h"

#include <stdlib.h>

#include "common/alloc.h"

/* Apart from the numbers of threads' tracks, which are births << 32 | tid. */
#define TRACK_BASE 0x51CBA70100000000u
#define TRACK_NAME "requests"

enum state { UNKNOWN, OPEN, ENDED, SETTLED };

struct request {
	uint64_t number;
	enum state
		state; /* UNKNOWN: something was said of it, but its beginning was not read yet */
	struct held_event begin;
	int64_t end_ns;
};

struct requests {
	struct encoder *encoder;
	struct request **all;
	size_t count, cap;
	int64_t *track_ends_ns; /* when the last slice of each track ended */
	size_t track_count, track_cap;
};

struct requests *requests_create(struct encoder *encoder)
{
	struct requests *requests = xcalloc(1, sizeof(*requests));

	requests->encoder = encoder;
	return requests;
}

static void free_request(struct request *request)
{
	held_event_clear(&request->begin);
	free(request);
}

void requests_free(struct requests *requests)
{
	if (!requests)
		return;
	for (size_t i = 0; i < requests->count; i++)
		free_request(requests->all[i]);
	free(requests->all);
	free(requests->track_ends_ns);
	free(requests);
}

/* There are as many as requests at once and in two turns: the latest are the likeliest. */
static struct request *find_or_add(struct requests *requests, uint64_t number)
{
	struct request *request;

	for (size_t i = requests->count; i-- > 0;)
		if (requests->all[i]->number == number)
			return requests->all[i];
	if (requests->count == requests->cap) {
		requests->cap = requests->cap ? 2 * requests->cap : 64;
		requests->all = xrealloc(requests->all, requests->cap, sizeof(struct request *));
	}
	request = xcalloc(1, sizeof(*request));
	request->number = number;
	requests->all[requests->count++] = request;
	return request;
}

void requests_begin(struct requests *requests, uint64_t number, const char *name, int64_t time_ns)
{
	struct request *request = find_or_add(requests, number);
	struct encoder_event *event = &request->begin.event;

	/* Its end may have been read before, from another thread. */
	if (request->end_ns == 0)
		request->state = OPEN;
	event->type = ENCODER_BEGIN;
	event->time_ns = time_ns;
	event->name = name;
	event->category = "request";
}

struct held_event *requests_held(struct requests *requests, uint64_t number)
{
	return &find_or_add(requests, number)->begin;
}

void requests_add_number(struct requests *requests, uint64_t number, const char *key, int64_t value)
{
	held_event_add_number(&find_or_add(requests, number)->begin, key, value);
}

void requests_end(struct requests *requests, uint64_t number, int64_t time_ns)
{
	struct request *request = find_or_add(requests, number);

	request->end_ns = time_ns;
	request->state = ENDED;
}

/* ---- writing them ---- */

static uint64_t track_from(struct requests *requests, int64_t begin_ns, int64_t end_ns)
{
	size_t i = 0;

	while (i < requests->track_count && requests->track_ends_ns[i] > begin_ns)
		i++;
	if (i == requests->track_count) {
		if (requests->track_count == requests->track_cap) {
			requests->track_cap = requests->track_cap ? 2 * requests->track_cap : 16;
			requests->track_ends_ns = xrealloc(
				requests->track_ends_ns, requests->track_cap, sizeof(int64_t));
		}
		requests->track_count++;
		encode_named_track(requests->encoder, TRACK_BASE + i, TRACK_NAME);
	}
	requests->track_ends_ns[i] = end_ns;
	return TRACK_BASE + i;
}

static void put(struct requests *requests, struct request *request)
{
	bool has_ended = request->end_ns > 0;
	struct encoder_event end = {.type = ENCODER_END, .time_ns = request->end_ns};

	end.track = request->begin.event.track = track_from(
		requests, request->begin.event.time_ns, has_ended ? request->end_ns : INT64_MAX);
	request->begin.is_held = true;
	held_event_put(&request->begin, requests->encoder);
	if (has_ended)
		encode_event(requests->encoder, &end);
}

static int by_begin(const void *left, const void *right)
{
	const struct request *a = *(struct request *const *)left;
	const struct request *b = *(struct request *const *)right;
	int64_t a_ns = a->begin.event.time_ns, b_ns = b->begin.event.time_ns;

	return (a_ns > b_ns) - (a_ns < b_ns);
}

void requests_turn(struct requests *requests, bool at_the_end)
{
	size_t kept_count = 0;

	if (requests->count > 1)
		qsort(requests->all, requests->count, sizeof(struct request *), by_begin);
	for (size_t i = 0; i < requests->count; i++) {
		struct request *request = requests->all[i];
		bool has_begun = request->begin.event.name != NULL;

		if (has_begun && (at_the_end || request->state == SETTLED)) {
			put(requests, request);
			free_request(request);
		} else if (!has_begun && request->state == SETTLED) {
			/* From before the trace, or its beginning was dropped. */
			free_request(request);
		} else {
			if (request->state == ENDED || request->state == UNKNOWN)
				request->state = SETTLED;
			requests->all[kept_count++] = request;
		}
	}
	requests->count = kept_count;
}
