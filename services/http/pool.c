#include "http/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/alloc.h"
#include "common/clock.h"

struct http_pool {
	struct http_pool_config config;
	char *name;
	pthread_t *threads;
	unsigned started_count;
	atomic_uint
		refs; /* one per thread and one of the owner: a thread left behind may come back */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wanted;
	h2o_linklist_t queue;
	unsigned queued_count;
	unsigned named_count;
	bool stopping;
};

static void pool_unref(struct http_pool *pool)
{
	if (atomic_fetch_sub(&pool->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->wanted);
	free(pool->threads);
	free(pool->name);
	free(pool);
}

/* With the lock held. */
static struct http_task *take_first(struct http_pool *pool)
{
	struct http_task *task;

	if (h2o_linklist_is_empty(&pool->queue))
		return NULL;
	task = H2O_STRUCT_FROM_MEMBER(struct http_task, queued, pool->queue.next);
	h2o_linklist_unlink(&task->queued);
	pool->queued_count--;
	return task;
}

static struct http_task *wait_for_task(struct http_pool *pool)
{
	struct http_task *task = NULL;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping && !(task = take_first(pool)))
		pthread_cond_wait(&pool->wanted, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	return task;
}

static void name_thread(struct http_pool *pool)
{
	char name[32];

	pthread_mutex_lock(&pool->lock);
	snprintf(name, sizeof(name), "%s-%u", pool->name, pool->named_count++);
	pthread_mutex_unlock(&pool->lock);
	pthread_setname_np(pthread_self(), name);
}

static void *pool_main(void *argument)
{
	struct http_pool *pool = argument;
	struct http_task *task;

	name_thread(pool);
	if (pool->config.on_thread_start)
		pool->config.on_thread_start();
	while ((task = wait_for_task(pool)))
		task->run(task, false);
	pool_unref(pool);
	return NULL;
}

int http_pool_push(struct http_pool *pool, struct http_task *task)
{
	int result = -EAGAIN;

	pthread_mutex_lock(&pool->lock);
	if (!pool->stopping && pool->queued_count < pool->config.queue_max) {
		h2o_linklist_insert(&pool->queue, &task->queued);
		pool->queued_count++;
		pthread_cond_signal(&pool->wanted);
		result = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return result;
}

bool http_pool_drop(struct http_pool *pool, struct http_task *task)
{
	bool was_queued;

	pthread_mutex_lock(&pool->lock);
	was_queued = h2o_linklist_is_linked(&task->queued);
	if (was_queued) {
		h2o_linklist_unlink(&task->queued);
		pool->queued_count--;
	}
	pthread_mutex_unlock(&pool->lock);
	return was_queued;
}

/* ---- a plain call ---- */

struct plain_call {
	struct http_task task;
	void (*call)(void *data);
	void *data;
};

static void run_call(struct http_task *task, bool dropped)
{
	struct plain_call *plain = H2O_STRUCT_FROM_MEMBER(struct plain_call, task, task);

	(void)dropped; /* it is made all the same */
	plain->call(plain->data);
	free(plain);
}

int http_pool_call(struct http_pool *pool, void (*call)(void *data), void *data)
{
	struct plain_call *plain = xcalloc(1, sizeof(*plain));
	int result;

	plain->task.run = run_call;
	plain->call = call;
	plain->data = data;
	result = http_pool_push(pool, &plain->task);
	if (result)
		free(plain);
	return result;
}

unsigned http_pool_queued_count(struct http_pool *pool)
{
	unsigned count;

	pthread_mutex_lock(&pool->lock);
	count = pool->queued_count;
	pthread_mutex_unlock(&pool->lock);
	return count;
}

int http_pool_create(const struct http_pool_config *config, struct http_pool **result)
{
	struct http_pool *pool = xcalloc(1, sizeof(*pool));
	int error = 0;

	assert(config->thread_count && config->queue_max);
	pool->config = *config;
	pool->name = xstrdup(config->name);
	pool->threads = xcalloc(config->thread_count, sizeof(*pool->threads));
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wanted, NULL);
	h2o_linklist_init_anchor(&pool->queue);
	atomic_init(&pool->refs, 1);
	while (!error && pool->started_count < config->thread_count) {
		atomic_fetch_add(&pool->refs, 1);
		error = pthread_create(&pool->threads[pool->started_count], NULL, pool_main, pool);
		if (!error)
			pool->started_count++;
		else
			atomic_fetch_sub(&pool->refs, 1);
	}
	if (error) {
		http_pool_stop(pool, 1000);
		return -error;
	}
	*result = pool;
	return 0;
}

static void drop_queue(struct http_pool *pool)
{
	struct http_task *task;

	do {
		pthread_mutex_lock(&pool->lock);
		pool->stopping = true;
		task = take_first(pool);
		pthread_cond_broadcast(&pool->wanted);
		pthread_mutex_unlock(&pool->lock);
		if (task)
			task->run(task, true);
	} while (task);
}

bool http_join(pthread_t thread, int64_t until_ns)
{
	/* Not pthread_clockjoin_np(): ThreadSanitizer knows only this one. */
	struct timespec until = {until_ns / CLOCK_NS_PER_SEC, until_ns % CLOCK_NS_PER_SEC};

	if (pthread_timedjoin_np(thread, NULL, &until) == 0)
		return true;
	pthread_detach(thread);
	return false;
}

void http_pool_stop(struct http_pool *pool, unsigned wait_ms)
{
	int64_t until_ns = clock_realtime_ns() + wait_ms * CLOCK_NS_PER_MS;

	drop_queue(pool);
	for (unsigned i = 0; i < pool->started_count; i++)
		(void)http_join(pool->threads[i], until_ns);
	pool_unref(pool);
}
