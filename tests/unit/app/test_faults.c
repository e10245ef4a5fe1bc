/*
 * Every fault of the registry, whatever it does, keeps its contract: what entering and serving took
 * is given back by release() and undo(), and the fixed variant takes nothing. A new fault is
 * covered by its line in faults.def.
 */
#include "../support/peer.h"
#include "../support/test.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/call.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "debug/internal.h"
#include "diag/malloc_stats.h"

#define SERVES 3
#define MEMORY_SLACK_BYTES (256 * 1024) /* caches of threads and of stdio */

struct usage {
	int64_t threads, fds, memory_bytes;
};

static int64_t memory_bytes(void)
{
	int64_t tcmalloc_bytes = (int64_t)malloc_stats_read().allocated_bytes;

	return tcmalloc_bytes ? tcmalloc_bytes
			      : (int64_t)mallinfo2().uordblks + (int64_t)mallinfo2().hblkhd;
}

static struct usage measure(void)
{
	return (struct usage){process_thread_count(), process_fd_count(), memory_bytes()};
}

/* A joined thread leaves /proc a moment after its join. */
static struct usage measure_when_threads_are(int64_t wanted)
{
	int64_t end_ns = clock_monotonic_ns() + CLOCK_NS_PER_SEC;

	while (process_thread_count() != wanted && clock_monotonic_ns() < end_ns)
		sched_yield();
	return measure();
}

static int64_t idle_thread_count; /* when no test runs */

static struct usage measure_idle(void)
{
	return measure_when_threads_are(idle_thread_count);
}

/* Faults put their files here: of this run alone, so that another one's do not count. */
static char own_tmp[] = "/tmp/test-faults-XXXXXX";

static struct peer upstream;

static int set_up(void **state)
{
	(void)state;
	upstream = peer_start();
	fault_upstream_url = upstream.url;
	idle_thread_count = process_thread_count();
	return mkdtemp(own_tmp) ? setenv("TMPDIR", own_tmp, 1) : -1;
}

/* Fails where something is left in it. */
static int tear_down(void **state)
{
	(void)state;
	peer_stop(&upstream);
	return rmdir(own_tmp);
}

/* ---- a request, as a worker would serve it ---- */

struct request {
	pthread_t thread;
	int err;
	atomic_bool ended;
};

static void on_fail(const void *context, int err, const char *reason)
{
	(void)context;
	print_message("%s: %s\n", reason, strerror(-err));
}

static int serve_once(void)
{
	struct fault_call call = {.on_fail = on_fail};
	int err;

	step_begin(&call.turn);
	err = call.turn.fault->serve(&call);
	step_end(&call.turn);
	return err;
}

static void *request_main(void *data)
{
	struct request *request = data;

	request->err = serve_once();
	atomic_store(&request->ended, true);
	return NULL;
}

static void begin_requests(struct request *requests, int count)
{
	for (int i = 0; i < count; i++) {
		atomic_store(&requests[i].ended, false);
		assert_int_equal(
			pthread_create(&requests[i].thread, NULL, request_main, &requests[i]), 0);
	}
}

static void end_requests(struct request *requests, int count)
{
	for (int i = 0; i < count; i++) {
		pthread_join(requests[i].thread, NULL);
		assert_int_equal(requests[i].err, 0);
	}
}

static void assert_back(const char *name, const struct usage *before)
{
	struct usage after = measure_when_threads_are(before->threads);

	print_message("%s: %+lld threads, %+lld descriptors, %+lld bytes\n", name,
		(long long)(after.threads - before->threads), (long long)(after.fds - before->fds),
		(long long)(after.memory_bytes - before->memory_bytes));
	assert_int_equal(after.threads, before->threads);
	assert_int_equal(after.fds, before->fds);
	assert_true(after.memory_bytes - before->memory_bytes < MEMORY_SLACK_BYTES);
}

/* ---- the registry ---- */

static void test_descriptors_are_complete(void **state)
{
	(void)state;
	assert_true(STEP_COUNT >= 8);
	assert_null(step_fault(-1));
	assert_null(step_fault(STEP_COUNT));
	for (int step = 0; step < STEP_COUNT; step++) {
		const struct fault *fault = step_fault(step);

		assert_true(fault->name && *fault->name);
		assert_true(fault->does && *fault->does);
		assert_non_null(fault->serve);
		/* What can block must be stoppable: by release(), or because serve() polls. */
		for (int other = 0; other < step; other++)
			assert_string_not_equal(fault->name, step_fault(other)->name);
	}
	assert_false(step_fault(0)->may_block);
}

static void leave_and_time(int step)
{
	int64_t begin_ns = clock_monotonic_ns();

	assert_int_equal(step_switch(0, false), 0);
	if (clock_monotonic_ns() - begin_ns > CLOCK_NS_PER_SEC)
		fail_msg("leaving step %d took more than a second", step);
}

static void test_every_fault_gives_back_what_it_took(void **state)
{
	(void)state;
	for (int step = 0; step < STEP_COUNT; step++) {
		struct request requests[SERVES];
		struct usage before = measure_idle();

		assert_int_equal(step_switch(step, false), 0);
		begin_requests(requests, SERVES);
		leave_and_time(step);
		end_requests(requests, SERVES);
		assert_back(step_fault(step)->name, &before);
	}
}

static void test_every_fixed_variant_leaves_no_trace_of_a_request(void **state)
{
	(void)state;
	for (int step = 0; step < STEP_COUNT; step++) {
		struct usage before, outside = measure_idle();
		int64_t begin_ns = clock_monotonic_ns();
		char name[64];

		assert_int_equal(step_switch(step, true), 0);
		assert_int_equal(serve_once(), 0); /* what it keeps for reuse is made now */
		before = measure_idle();
		for (int i = 0; i < SERVES; i++)
			assert_int_equal(serve_once(), 0);
		snprintf(name, sizeof(name), "%s (fixed)", step_fault(step)->name);
		assert_back(name, &before);
		assert_int_equal(step_switch(0, false), 0);
		assert_back(name, &outside);
		/* Nor does it hang or burn. */
		assert_true(clock_monotonic_ns() - begin_ns < 4 * CLOCK_NS_PER_SEC);
	}
}

/* ---- each one's own defect ---- */

static int step_of(const char *name)
{
	for (int step = 0; step < STEP_COUNT; step++)
		if (strcmp(step_fault(step)->name, name) == 0)
			return step;
	fail_msg("no fault is named %s", name);
	return -1;
}

static struct usage grown_by_serving(const char *name)
{
	struct usage before, after;

	assert_int_equal(step_switch(step_of(name), false), 0);
	before = measure_idle();
	for (int i = 0; i < SERVES; i++)
		assert_int_equal(serve_once(), 0);
	after = measure();
	assert_int_equal(step_switch(0, false), 0);
	return (struct usage){after.threads - before.threads, after.fds - before.fds,
		after.memory_bytes - before.memory_bytes};
}

static void test_leaks_leak(void **state)
{
	struct usage grown = grown_by_serving("connection leak");

	(void)state;
	assert_int_equal(grown.threads, SERVES);
	assert_int_equal(grown.fds, 3 * SERVES); /* a socket, and libcurl's pair */
	assert_int_equal(grown_by_serving("thread leak").threads, 5 * SERVES);
	assert_int_equal(grown_by_serving("fd leak").fds, 5 * SERVES);
#ifndef SICKBAY_SAN /* a sanitizer's malloc keeps no such count */
	/* 3 x 10,000,000 bytes in a buffer that doubles from 64 KiB. */
	assert_in_range(grown_by_serving("memory leak").memory_bytes, 32 << 20, 33 << 20);
	assert_true(grown_by_serving("memory alloc").memory_bytes < MEMORY_SLACK_BYTES);
#endif
}

static void test_requests_on_the_mutex_hang_until_the_step_is_left(void **state)
{
	struct request requests[8];
	struct step_turn turn;

	(void)state;
	assert_int_equal(step_switch(step_of("mutex"), false), 0);
	begin_requests(requests, 8);
	/* Nobody can have passed while the lock is held, however long one looks. */
	for (int64_t end_ns = clock_monotonic_ns() + 200 * CLOCK_NS_PER_MS;
		clock_monotonic_ns() < end_ns;)
		for (int i = 0; i < 8; i++)
			assert_false(atomic_load(&requests[i].ended));
	leave_and_time(step_of("mutex"));
	end_requests(requests, 8);
	step_begin(&turn);
	assert_int_equal(turn.step, 0);
	step_end(&turn);
}

static void test_burning_stops_with_the_step(void **state)
{
	struct request requests[2];
	int64_t begin_ns;

	(void)state;
	assert_int_equal(step_switch(step_of("cpu"), false), 0);
	begin_requests(requests, 2);
	begin_ns = clock_monotonic_ns();
	leave_and_time(step_of("cpu"));
	end_requests(requests, 2);
	assert_true(clock_monotonic_ns() - begin_ns < 500 * CLOCK_NS_PER_MS);
}

static bool nobody_is_there(const void *context)
{
	(void)context;
	return true;
}

static void test_burning_stops_when_the_client_has_left(void **state)
{
	struct fault_call call = {.client_left = nobody_is_there};
	int64_t begin_ns = clock_monotonic_ns();

	(void)state;
	assert_int_equal(step_switch(step_of("cpu"), false), 0);
	step_begin(&call.turn);
	assert_int_equal(call.turn.fault->serve(&call), 0);
	step_end(&call.turn);
	assert_true(clock_monotonic_ns() - begin_ns < 250 * CLOCK_NS_PER_MS);
	assert_int_equal(step_switch(0, false), 0);
}

static void test_two_thousand_leaked_threads_end_within_a_second(void **state)
{
	struct usage before = measure_idle();

	(void)state;
	assert_int_equal(step_switch(step_of("thread leak"), false), 0);
	for (int i = 0; i < 400; i++)
		assert_int_equal(serve_once(), 0);
	assert_int_equal(process_thread_count(), before.threads + 2000);
	leave_and_time(step_of("thread leak"));
	assert_back("2000 threads", &before);
}

static size_t leaked_file_count(void)
{
	size_t count = 0;
	DIR *dir = opendir(own_tmp);

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void test_the_descriptor_leak_ends_at_the_limit_and_is_undone(void **state)
{
	struct rlimit limit, low;
	int err = 0;

	(void)state;
	assert_int_equal(leaked_file_count(), 0);
	assert_int_equal(step_switch(step_of("fd leak"), false), 0);
	assert_int_equal(leaked_file_count(), 1); /* the directory of all its files */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 20 && !err; i++)
		err = serve_once();
	assert_int_equal(err, -EMFILE);
	assert_int_equal(step_switch(step_of("fd leak"), false), 0);
	assert_int_equal(serve_once(), 0);
	assert_int_equal(step_switch(0, false), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(leaked_file_count(), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors_are_complete),
		cmocka_unit_test(test_every_fault_gives_back_what_it_took),
		cmocka_unit_test(test_every_fixed_variant_leaves_no_trace_of_a_request),
		cmocka_unit_test(test_leaks_leak),
		cmocka_unit_test(test_requests_on_the_mutex_hang_until_the_step_is_left),
		cmocka_unit_test(test_burning_stops_with_the_step),
		cmocka_unit_test(test_burning_stops_when_the_client_has_left),
		cmocka_unit_test(test_two_thousand_leaked_threads_end_within_a_second),
		cmocka_unit_test(test_the_descriptor_leak_ends_at_the_limit_and_is_undone),
	};

	if (argc > 1 && strcmp(argv[0], PEER_NAME) == 0)
		return peer_main();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
