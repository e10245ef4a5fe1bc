/* What the views of all threads say, of threads that are known to wait. */
#include "../support/read_dump.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <pthread.h>
#include <regex.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "diag/threads.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define LEAKED_COUNT 4
#define HERE "/[^\n]*tests/unit/diag/test_threads\\.c"
#define DURATION "[0-9]+ (ms|seconds?|minutes?)"

/* ---- threads that wait, each in another way ---- */

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t signal_came = PTHREAD_COND_INITIALIZER;
static bool signalled;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static int locked_line;
static sem_t locked, let_go, is_deaf;
static int deaf_fds[2];

static TEST_FRAME void wait_for_signal(void)
{
	pthread_mutex_lock(&signal_lock);
	while (!signalled)
		pthread_cond_wait(&signal_came, &signal_lock);
	pthread_mutex_unlock(&signal_lock);
}

static TEST_FRAME void lock_it(void)
{
	locked_line = __LINE__ + 1;
	pthread_mutex_lock(&shared_lock);
}

static TEST_FRAME void hold_it(void)
{
	lock_it();
	sem_post(&locked);
	while (sem_wait(&let_go) != 0)
		;
	pthread_mutex_unlock(&shared_lock);
}

static TEST_FRAME void wait_for_lock(void)
{
	pthread_mutex_lock(&shared_lock);
	pthread_mutex_unlock(&shared_lock);
}

static TEST_FRAME void read_deaf(void)
{
	sigset_t signals;
	char byte;

	sigemptyset(&signals);
	sigaddset(&signals, SIGURG);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	sem_post(&is_deaf);
	(void)!read(deaf_fds[0], &byte, 1);
}

static struct leaked {
	char name[PROBE_NAME_BYTES];
	pthread_t thread;
} leaked[LEAKED_COUNT] = {{"leaked-0", 0}, {"leaked-1", 0}, {"leaked-2", 0}, {"leaked-3", 0}};
static int leaked_line;
static pthread_t holder, waiter, deaf;

static void *leaked_main(void *name)
{
	pthread_setname_np(pthread_self(), name);
	wait_for_signal();
	return NULL;
}

static TEST_FRAME void start_leaked(void)
{
	for (int i = 0; i < LEAKED_COUNT; i++) {
		leaked_line = __LINE__ + 1;
		pthread_create(&leaked[i].thread, NULL, leaked_main, leaked[i].name);
	}
}

static void stop_leaked(void)
{
	pthread_mutex_lock(&signal_lock);
	signalled = true;
	pthread_cond_broadcast(&signal_came);
	pthread_mutex_unlock(&signal_lock);
	for (int i = 0; i < LEAKED_COUNT; i++)
		pthread_join(leaked[i].thread, NULL);
	signalled = false;
}

static int start_threads(void **state)
{
	(void)state;
	sem_init(&locked, 0, 0);
	sem_init(&let_go, 0, 0);
	sem_init(&is_deaf, 0, 0);
	assert_int_equal(pipe(deaf_fds), 0);
	start_leaked();
	holder = named_thread_start("holder", hold_it);
	sem_wait(&locked);
	waiter = named_thread_start("waiter", wait_for_lock);
	deaf = named_thread_start("deaf", read_deaf);
	sem_wait(&is_deaf);
	for (int i = 0; i < LEAKED_COUNT; i++)
		named_thread_await(leaked[i].name, "pthread_cond_wait");
	named_thread_await("holder", "sem_wait");
	named_thread_await("waiter", "pthread_mutex_lock");
	return 0;
}

static int stop_threads(void **state)
{
	(void)state;
	stop_leaked();
	sem_post(&let_go);
	pthread_join(holder, NULL);
	pthread_join(waiter, NULL);
	assert_int_equal(write(deaf_fds[1], "x", 1), 1);
	pthread_join(deaf, NULL);
	close(deaf_fds[0]);
	close(deaf_fds[1]);
	return 0;
}

/* ---- reading ---- */

static struct thread_snapshot *take(void)
{
	struct thread_snapshot *snapshot;

	assert_int_equal(thread_snapshot_take(PROBE_DUMP_ALL, &snapshot), 0);
	return snapshot;
}

static const struct thread_view *find_named(
	const struct thread_snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->thread_count; i++)
		if (strcmp(snapshot->threads[i].name, name) == 0)
			return &snapshot->threads[i];
	fail_msg("no thread %s", name);
	return NULL;
}

typedef void print_view(const struct thread_snapshot *before, const struct thread_snapshot *now,
	struct strbuf *out);

static struct strbuf print(print_view *view)
{
	struct thread_snapshot *snapshot = take();
	struct strbuf text = STRBUF_INIT;

	view(NULL, snapshot, &text);
	thread_snapshot_free(snapshot);
	return text;
}

/* PATTERN is an extended regular expression. */
static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, text, 0, NULL, 0) != 0)
		fail_msg("nothing like\n%s\nin\n%s", pattern, text);
	regfree(&regex);
}

/* The lines of one thread: those of another must not match. */
static struct strbuf section_of(const struct strbuf *text, const char *name)
{
	struct strbuf section = STRBUF_INIT;
	char quoted[PROBE_NAME_BYTES + 4];
	const char *at, *end;

	snprintf(quoted, sizeof(quoted), " \"%s\" [", name);
	at = strstr(text->data, quoted);
	assert_non_null(at);
	while (at > text->data && at[-1] != '\n')
		at--;
	end = strstr(at, "\n\n");
	assert_non_null(end);
	strbuf_add(&section, at, (size_t)(end + 1 - at));
	return section;
}

static void assert_section(const char *name, const char *pattern)
{
	struct strbuf text = print(threads_print_each), section = section_of(&text, name);

	assert_matches(section.data, pattern);
	strbuf_free(&section);
	strbuf_free(&text);
}

/* ---- each thread ---- */

static void test_a_thread_says_what_it_waits_for_and_who_made_it(void **state)
{
	char pattern[512];

	(void)state;
	snprintf(pattern, sizeof(pattern),
		"^thread [0-9]+ \"leaked-3\" \\[futex wait, " DURATION "\\]:\n"
		"waits for condition signal_came \\(0x[0-9a-f]+\\)\n"
		"(.*\n)?wait_for_signal\n\t" HERE ":[0-9]+ \\+0x[0-9a-f]+\n"
		"leaked_main\n\t" HERE ":[0-9]+ \\+0x[0-9a-f]+\n"
		".*created by start_leaked\n\t" HERE ":%d \\+0x[0-9a-f]+\n",
		leaked_line);
	assert_section("leaked-3", pattern);
}

static void test_a_mutex_has_its_holder_and_the_line(void **state)
{
	struct thread_snapshot *snapshot = take();
	char pattern[512];

	(void)state;
	snprintf(pattern, sizeof(pattern),
		"\\[futex wait, " DURATION "\\]:\n"
		"waits for mutex shared_lock \\(0x[0-9a-f]+\\), held by thread %d \"holder\", "
		"which locked it in lock_it at " HERE ":%d\n(.*\n)?wait_for_lock\n",
		(int)find_named(snapshot, "holder")->tid, locked_line);
	thread_snapshot_free(snapshot);
	assert_section("waiter", pattern);
}

static void test_the_requester_runs(void **state)
{
	char pattern[256], name[PROBE_NAME_BYTES];

	(void)state;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	snprintf(pattern, sizeof(pattern),
		"^thread %d \"[^\"]*\" \\[running\\]:\n.*test_the_requester_runs\n\t" HERE,
		(int)gettid());
	assert_section(name, pattern);
}

static void test_a_deaf_thread_has_a_reason(void **state)
{
	(void)state;
	assert_section("deaf", "^thread [0-9]+ \"deaf\" \\[[a-z ]+\\]:\n"
			       "\\(no stack: the thread blocks SIGURG, by which it is asked\\)\n"
			       "created by named_thread_start\n");
}

/* ---- groups ---- */

/* Reads the groups of TEXT; returns their sum. */
static size_t check_groups(const char *text)
{
	size_t sum = 0, previous = SIZE_MAX;

	for (const char *at = strchr(text, '\n') + 1; *at; at = strstr(at, "\n\n") + 2) {
		char *end;
		size_t count = strtoul(at, &end, 10);

		assert_memory_equal(end, " @", 2);
		assert_true(count > 0 && count <= previous);
		previous = count;
		sum += count;
		/* What follows is comments up to one blank line, which ends every group. */
		for (end = strchr(end, '\n') + 1; *end != '\n'; end = strchr(end, '\n') + 1)
			assert_int_equal(*end, '#');
		assert_memory_equal(end - 1, "\n\n", 2);
	}
	return sum;
}

static void test_groups_count_every_thread(void **state)
{
	struct strbuf text = print(threads_print_groups);

	(void)state;
	assert_matches(text.data, "^thread profile: total [0-9]+\n4 @( 0x[0-9a-f]+)+\n#\t0x");
	assert_int_equal(strtoul(text.data + strlen("thread profile: total "), NULL, 10),
		probe_thread_count());
	assert_int_equal(check_groups(text.data), probe_thread_count());
	assert_matches(text.data,
		"\n#\t0x[0-9a-f]+\twait_for_signal\\+0x[0-9a-f]+\t" HERE ":[0-9]+\n"
		"#\t0x[0-9a-f]+\tleaked_main\\+0x[0-9a-f]+\t" HERE ":[0-9]+\n");
	strbuf_free(&text);
}

static void test_creators_and_the_entry_of_the_main_thread(void **state)
{
	struct strbuf text = print(threads_print_creators);

	(void)state;
	assert_matches(text.data, "^threadcreate profile: total [0-9]+\n4 @( 0x[0-9a-f]+)+\n"
				  "#\t0x[0-9a-f]+\tstart_leaked\\+0x[0-9a-f]+\t" HERE ":[0-9]+\n");
	assert_int_equal(check_groups(text.data), probe_thread_count());
	assert_matches(text.data, "\n\n1 @ 0x[0-9a-f]+\n#\t0x[0-9a-f]+\t_start\\+0x0\t[^\n]*\n\n");
	strbuf_free(&text);
}

/* ---- profile.proto ---- */

typedef int encode_view(const struct thread_snapshot *before, const struct thread_snapshot *now,
	struct strbuf *out);

static struct read_profile *encode(encode_view *view)
{
	struct thread_snapshot *snapshot = take();
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(view(NULL, snapshot, &out), 0);
	thread_snapshot_free(snapshot);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	return profile;
}

static void test_the_profile_counts_by_function_state_and_creator(void **state)
{
	struct read_profile *profile = encode(threads_encode);
	char created_by[64];

	(void)state;
	snprintf(created_by, sizeof(created_by), "start_leaked:%d", leaked_line);
	assert_int_equal(read_profile_total(profile, 0), probe_thread_count());
	assert_int_equal(read_profile_cumulative(profile, 0, "wait_for_signal"), LEAKED_COUNT);
	assert_int_equal(
		read_profile_labelled(profile, 0, "wait_for_signal", "created_by", created_by),
		LEAKED_COUNT);
	assert_int_equal(
		read_profile_labelled(profile, 0, "wait_for_signal", "state", "futex wait"),
		LEAKED_COUNT);
	assert_int_equal(read_profile_labelled(profile, 0, "encode", "state", "running"), 1);
	assert_int_equal(read_profile_cumulative(profile, 0, "lock_it"), 0);
	read_profile_close(profile);
}

static void test_the_creators_profile(void **state)
{
	struct read_profile *profile = encode(threads_encode_creators);

	(void)state;
	assert_int_equal(read_profile_total(profile, 0), probe_thread_count());
	assert_int_equal(read_profile_cumulative(profile, 0, "start_leaked"), LEAKED_COUNT);
	assert_int_equal(
		read_profile_edge(profile, 0, "start_leaked", "start_threads"), LEAKED_COUNT);
	assert_int_equal(read_profile_cumulative(profile, 0, "named_thread_start"), 3);
	assert_int_equal(read_profile_cumulative(profile, 0, "wait_for_signal"), 0);
	read_profile_close(profile);
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	assert_int_equal(modules_init(), 0);
	return probe_births_start();
}

#define WITH_THREADS(test) cmocka_unit_test_setup_teardown(test, start_threads, stop_threads)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_THREADS(test_a_thread_says_what_it_waits_for_and_who_made_it),
		WITH_THREADS(test_a_mutex_has_its_holder_and_the_line),
		WITH_THREADS(test_the_requester_runs),
		WITH_THREADS(test_a_deaf_thread_has_a_reason),
		WITH_THREADS(test_groups_count_every_thread),
		WITH_THREADS(test_creators_and_the_entry_of_the_main_thread),
		WITH_THREADS(test_the_profile_counts_by_function_state_and_creator),
		WITH_THREADS(test_the_creators_profile),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
