#include "trace/held_event.h"

#include <stdlib.h>

#include "common/alloc.h"

static struct encoder_detail *add(struct held_event *held, const char *key)
{
	struct encoder_detail *detail;

	if (held->event.detail_count == ENCODER_DETAILS_MAX)
		return NULL;
	detail = &held->event.details[held->event.detail_count++];
	*detail = (struct encoder_detail){.key = key};
	return detail;
}

void held_event_add_number(struct held_event *held, const char *key, int64_t value)
{
	struct encoder_detail *detail = add(held, key);

	if (detail)
		detail->number = value;
}

void held_event_add_text(struct held_event *held, const char *key, const char *text)
{
	struct encoder_detail *detail = add(held, key);

	if (detail)
		detail->text = xstrdup(text);
}

void held_event_clear(struct held_event *held)
{
	for (size_t i = 0; i < held->event.detail_count; i++)
		free((char *)held->event.details[i].text);
	*held = (struct held_event){.is_held = false};
}

void held_event_put(struct held_event *held, struct encoder *encoder)
{
	if (held->is_held)
		encode_event(encoder, &held->event);
	held_event_clear(held);
}
