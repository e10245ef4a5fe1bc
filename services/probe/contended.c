#include "probe/contended.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "probe/interpose.h"

INTERPOSED(pthread_mutex_lock)
INTERPOSED(pthread_mutex_unlock)

struct contended {
	const void *mutex; /* NULL: free */
	unsigned waiter_count;
	int64_t changed_ns; /* when waited_ns was brought up to date */
	int64_t waited_ns;
};

/*
 * Guards the table. Taken past the interposers, which come here themselves; held for some dozen
 * instructions.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct contended table[PROBE_CONTENDED_MAX];

static void take_lock(void)
{
	__typeof__(&pthread_mutex_lock) next = INTERPOSE_NEXT(pthread_mutex_lock);

	next(&lock);
}

static void give_lock(void)
{
	__typeof__(&pthread_mutex_unlock) next = INTERPOSE_NEXT(pthread_mutex_unlock);

	next(&lock);
}

/*
 * Linear probing without removal of the gaps: an entry is found by looking at all places from its
 * own to the first that was never used.
 */
static struct contended *find(const void *mutex)
{
	size_t start = (uintptr_t)mutex / sizeof(pthread_mutex_t) % PROBE_CONTENDED_MAX;
	struct contended *free_place = NULL;

	for (size_t i = 0; i < PROBE_CONTENDED_MAX; i++) {
		struct contended *entry = &table[(start + i) % PROBE_CONTENDED_MAX];

		if (entry->mutex == mutex)
			return entry;
		if (!entry->mutex && !free_place)
			free_place = entry;
		if (!entry->mutex && entry->changed_ns == 0)
			break;
	}
	return free_place;
}

static void bring_up_to_date(struct contended *entry)
{
	int64_t now_ns = clock_monotonic_ns();

	entry->waited_ns += entry->waiter_count * (now_ns - entry->changed_ns);
	entry->changed_ns = now_ns;
}

bool contended_join(const void *mutex)
{
	struct contended *entry;

	take_lock();
	entry = find(mutex);
	if (entry) {
		if (!entry->mutex)
			*entry = (struct contended){.mutex = mutex};
		bring_up_to_date(entry);
		entry->waiter_count++;
	}
	give_lock();
	return entry;
}

void contended_leave(const void *mutex)
{
	struct contended *entry;

	take_lock();
	entry = find(mutex);
	if (entry && entry->mutex) {
		bring_up_to_date(entry);
		if (--entry->waiter_count == 0)
			entry->mutex = NULL;
	}
	give_lock();
}

unsigned contended_take(const void *mutex, int64_t *waited_ns)
{
	struct contended *entry;
	unsigned count = 0;

	*waited_ns = 0;
	take_lock();
	entry = find(mutex);
	if (entry && entry->mutex) {
		bring_up_to_date(entry);
		*waited_ns = entry->waited_ns;
		entry->waited_ns = 0;
		count = entry->waiter_count;
	}
	give_lock();
	return count;
}

void probe_contended_for_each(
	void (*visit)(const void *mutex, int64_t waited_ns, unsigned waiter_count, void *context),
	void *context)
{
	take_lock();
	for (size_t i = 0; i < PROBE_CONTENDED_MAX; i++) {
		if (!table[i].mutex)
			continue;
		bring_up_to_date(&table[i]);
		visit(table[i].mutex, table[i].waited_ns, table[i].waiter_count, context);
	}
	give_lock();
}
