#include "http/internal.h"

#include <stdlib.h>

#include "common/alloc.h"

struct http_mailbox *http_mailbox_create(void)
{
	struct http_mailbox *mailbox = xcalloc(1, sizeof(*mailbox));

	atomic_init(&mailbox->refs, 1);
	pthread_mutex_init(&mailbox->lock, NULL);
	return mailbox;
}

void http_mailbox_open(struct http_mailbox *mailbox, h2o_multithread_receiver_t *receiver)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->receiver = receiver;
	pthread_mutex_unlock(&mailbox->lock);
}

void http_mailbox_close(struct http_mailbox *mailbox)
{
	http_mailbox_open(mailbox, NULL);
}

struct http_mailbox *http_mailbox_ref(struct http_mailbox *mailbox)
{
	atomic_fetch_add(&mailbox->refs, 1);
	return mailbox;
}

void http_mailbox_unref(struct http_mailbox *mailbox)
{
	if (atomic_fetch_sub(&mailbox->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

bool http_mailbox_post(struct http_mailbox *mailbox, h2o_multithread_message_t *message)
{
	bool posted;

	/* Held while posting: after http_mailbox_close() the receiver can be taken apart. */
	pthread_mutex_lock(&mailbox->lock);
	posted = mailbox->receiver != NULL;
	if (posted)
		h2o_multithread_send_message(mailbox->receiver, message);
	pthread_mutex_unlock(&mailbox->lock);
	return posted;
}
