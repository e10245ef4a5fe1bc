#include "probe/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/capture.h"
#include "probe/fd_internal.h"
#include "probe/thread_internal.h"

#define RING_SLOTS 512
#define FLUSH_NS (100 * CLOCK_NS_PER_MS)
#define OPEN 1U /* the lowest bit of a state */

/*
 * An opening makes the state even, and another than all before; then it writes the rest, and sets the
 * OPEN bit last. Whoever reads the same OPEN state before and after has read that opening.
 */
struct entry {
	atomic_uint_least64_t state;
	/* Of a depot_stack the address; until it is known the OPEN state, which is odd. */
	atomic_uint_least64_t stack;
	atomic_int_least64_t opened_ns;
	atomic_uintptr_t pc;
	atomic_int tid;
	atomic_uchar kind;
	atomic_bool observer;
};

/* What a capture carries along: the number, and of its state what changes with each opening. */
#define TAG(fd, state) ((uint64_t)(state) / 2 * PROBE_FD_MAX + (unsigned)(fd))
#define TAG_FD(tag) ((int)((tag) % PROBE_FD_MAX))
#define TAG_STATE(tag) ((tag) / PROBE_FD_MAX * 2)

atomic_bool fd_is_started;
/* Before it is started. */
static struct entry *entries;
static int entry_count;
static struct probe_ring *ring;

static atomic_int used_end; /* numbers from here on were never opened */

static struct entry *find(int fd)
{
	return fd >= 0 && fd < entry_count ? &entries[fd] : NULL;
}

/* Release and acquire: what is written after a state is not seen before it, nor the other way round. */
#define PUT(field, value) atomic_store_explicit(&(field), value, memory_order_release)
#define GET(field) atomic_load_explicit(&(field), memory_order_acquire)

/* ---- the interposers' side ---- */

static void note_used(int fd)
{
	int end = atomic_load_explicit(&used_end, memory_order_relaxed);

	while (end <= fd && !atomic_compare_exchange_weak(&used_end, &end, fd + 1))
		;
}

static bool thread_is_observer(void)
{
	return probe_observing() || (thread_self && thread_self->observer);
}

void fd_add(int fd, enum probe_fd_kind kind, uintptr_t pc)
{
	struct entry *entry = find(fd);
	bool observer = thread_is_observer();
	int error = errno;
	uint64_t state;

	if (!entry)
		return;
	note_used(fd);
	state = GET(entry->state);
	while (!atomic_compare_exchange_weak(&entry->state, &state, (state | OPEN) + 1))
		;
	state = (state | OPEN) + 1;
	PUT(entry->stack, state | OPEN);
	PUT(entry->opened_ns, clock_monotonic_ns());
	PUT(entry->pc, pc);
	PUT(entry->tid, thread_self ? thread_self->tid : gettid());
	PUT(entry->kind, kind);
	PUT(entry->observer, observer);
	/* It fails where a number was closed that somebody else was just opening: the last one counts. */
	if (atomic_compare_exchange_strong(&entry->state, &(uint64_t){state}, state | OPEN) &&
		!observer)
		(void)probe_ring_capture_sigsafe(ring, NULL, TAG(fd, state));
	errno = error;
}

void fd_add_copy(int fd, int copy, uintptr_t pc)
{
	struct probe_fd seen = {.kind = PROBE_FD_OTHER};

	(void)probe_fd_read(fd, &seen);
	fd_add(copy, seen.kind, pc);
}

void fd_remove(int fd)
{
	struct entry *entry = find(fd);

	if (entry && GET(entry->state) & OPEN)
		atomic_fetch_and(&entry->state, ~(uint64_t)OPEN);
}

static void remove_if_closed(int fd)
{
	uint64_t state = GET(entries[fd].state);

	if (state & OPEN && fcntl(fd, F_GETFD) < 0)
		atomic_compare_exchange_strong(&entries[fd].state, &state, state & ~(uint64_t)OPEN);
}

void fd_remove_closed(unsigned first, unsigned last)
{
	unsigned end = (unsigned)atomic_load(&used_end);
	int error = errno;

	probe_observe_begin();
	for (unsigned fd = first; fd < end && fd <= last; fd++)
		remove_if_closed((int)fd);
	probe_observe_end();
	errno = error;
}

void fd_set_kind(int fd, enum probe_fd_kind kind)
{
	struct entry *entry = find(fd);

	if (entry)
		PUT(entry->kind, kind);
}

/* ---- stacks, and those who read ---- */

/* What was closed meanwhile, or is another's by now, is not waiting for its stack any more. */
static bool is_waiting(uint64_t tag, void *context)
{
	(void)context;
	return GET(entries[TAG_FD(tag)].state) == (TAG_STATE(tag) | OPEN);
}

/* The ring's thread. */
static void on_stack(const struct probe_stack *stack, void *context)
{
	struct entry *entry = &entries[TAG_FD(stack->tag)];
	uint64_t waiting = TAG_STATE(stack->tag) | OPEN;
	uintptr_t pc = GET(entry->pc);
	const struct depot_stack *known;
	size_t own_count = 0;

	(void)context;
	while (own_count < stack->pc_count && stack->pcs[own_count] != pc)
		own_count++;
	known = probe_depot_put(stack->pcs + own_count, stack->pc_count - own_count);
	if (known)
		atomic_compare_exchange_strong(&entry->stack, &waiting, (uintptr_t)known);
}

bool probe_fd_read(int fd, struct probe_fd *seen)
{
	const struct entry *entry = find(fd);
	uint64_t state, stack;

	if (!entry)
		return false;
	do {
		state = GET(entry->state);
		if (!(state & OPEN))
			return false;
		stack = GET(entry->stack);
		seen->stack = stack & OPEN ? NULL : (const struct depot_stack *)stack;
		seen->opened_ns = GET(entry->opened_ns);
		seen->pc = GET(entry->pc);
		seen->tid = GET(entry->tid);
		seen->kind = GET(entry->kind);
		seen->observer = GET(entry->observer);
	} while (GET(entry->state) != state);
	return true;
}

void probe_fd_flush(void)
{
	if (fd_is_told())
		probe_ring_flush_until(ring, clock_monotonic_ns() + FLUSH_NS);
}

/* Memory from mmap: of the table, only what is used costs anything. */
int probe_fd_start(void)
{
	struct rlimit limit;
	int count, err;

	if (fd_is_told())
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	count = limit.rlim_max < PROBE_FD_MAX ? (int)limit.rlim_max : PROBE_FD_MAX;
	entries = mmap(NULL, (size_t)count * sizeof(*entries), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (entries == MAP_FAILED)
		return -errno;
	err = probe_ring_create("fds", RING_SLOTS, on_stack, NULL, &ring);
	if (err) {
		munmap(entries, (size_t)count * sizeof(*entries));
		return err;
	}
	probe_ring_be_lazy(ring, is_waiting);
	entry_count = count;
	atomic_store_explicit(&fd_is_started, true, memory_order_release);
	return 0;
}
