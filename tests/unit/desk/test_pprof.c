/* pprof's pages of captures, by the real pprof. */
#include "../support/child.h"
#include "../support/test.h"
#include "captured.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "desk/pprof.h"
#include "probe/modules.h"

#define SHOWN_WITHIN_NS (2 * CLOCK_NS_PER_SEC)
#define CHILDREN_MAX 16

static char captures[64] = "/tmp/sickbay-pprof-XXXXXX";
static struct strbuf page;
static struct pprof_error error;

/* ---- captures ---- */

static void write_file(const char *name, const void *data, size_t len_bytes)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", captures, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len_bytes), len_bytes);
	close(fd);
}

static void write_profile(const char *name, int64_t seconds)
{
	captured_write_profile(captures, name, seconds);
}

static void remove_captures(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", captures);
	assert_int_equal(system(command), 0);
}

static void initialise(const char *program, const char *directory)
{
	static struct pprof_config config = {.sources = "."};

	config.program = program;
	config.captures = directory;
	pprof_init(&config);
}

static int start(void **state)
{
	(void)state;
	memcpy(captures + strlen(captures) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(captures));
	initialise("pprof", captures);
	write_profile("cpu.pb.gz", 12);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	pprof_stop();
	strbuf_free(&page);
	remove_captures();
	return 0;
}

/* ---- what is expected ---- */

static int fetch(const char *name, const char *base, const char *path)
{
	strbuf_free(&page);
	error.text[0] = '\0';
	return pprof_fetch(name, base, path, &page, &error);
}

static void expect_page(const char *name, const char *base, const char *path, const char *part)
{
	if (fetch(name, base, path) != 0)
		fail_msg("%s of %s: %s", path, name, error.text);
	if (!strstr(page.data, part))
		fail_msg("no \"%s\" in %s of %s:\n%s", part, path, name, page.data);
}

static void expect_error(int err, const char *name, const char *base, const char *part)
{
	assert_int_equal(fetch(name, base, "top"), err);
	if (!strstr(error.text, part))
		fail_msg("no \"%s\" in: %s", part, error.text);
}

/* The processes that this thread has started, and not waited for yet. */
static size_t list_children(pid_t children[CHILDREN_MAX])
{
	struct strbuf text = STRBUF_INIT;
	size_t count = 0;
	char *at, *end;

	assert_int_equal(strbuf_read_file(&text, "/proc/thread-self/children", 4096), 0);
	for (at = text.data; at && count < CHILDREN_MAX; at = end) {
		pid_t pid = (pid_t)strtol(at, &end, 10);

		if (end == at)
			break;
		children[count++] = pid;
	}
	strbuf_free(&text);
	return count;
}

static void shows_a_capture_at_once(void **state)
{
	int64_t begun_ns = clock_monotonic_ns();

	(void)state;
	expect_page("cpu.pb.gz", NULL, "flamegraph", "do_business");
	assert_in_range(clock_monotonic_ns() - begun_ns, 0, SHOWN_WITHIN_NS);
	expect_page("cpu.pb.gz", NULL, "top?si=cpu", "do_business");
}

static void shows_the_line_of_source(void **state)
{
	(void)state;
	expect_page("cpu.pb.gz", NULL, "source?f=do_business", "what the Source view shows");
}

static void compares_two(void **state)
{
	(void)state;
	write_profile("more.pb.gz", 15);
	expect_page("more.pb.gz", "cpu.pb.gz", "top", "3s");
	expect_page("more.pb.gz", NULL, "top", "15s");
}

static void passes_on_why_pprof_refuses(void **state)
{
	pid_t children[CHILDREN_MAX];

	(void)state;
	write_file("text.pb.gz", "no profile\n", 11);
	expect_error(-EINVAL, "text.pb.gz", NULL, "unrecognized profile format");
	expect_error(-EINVAL, "cpu.pb.gz", "text.pb.gz", "unrecognized profile format");
	write_profile("text.pb.gz", 7);
	expect_page("text.pb.gz", NULL, "top", "7s");
	assert_int_equal(list_children(children), 3);
}

static void knows_what_is_no_capture(void **state)
{
	static const char *const names[] = {
		"missing.pb.gz", "", "..", "../cpu.pb.gz", ".hidden", "a/b", "-h", "link.pb.gz"};
	pid_t children[CHILDREN_MAX];
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/link.pb.gz", captures);
	assert_int_equal(symlink("cpu.pb.gz", path), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		expect_error(-ENOENT, names[i], NULL, "There is no capture");
		expect_error(-ENOENT, "cpu.pb.gz", names[i], "There is no capture");
	}
	assert_int_equal(list_children(children), 0);
}

static void reads_a_replaced_capture_anew(void **state)
{
	(void)state;
	expect_page("cpu.pb.gz", NULL, "top", "12s");
	write_profile("cpu.pb.gz", 17);
	expect_page("cpu.pb.gz", NULL, "top", "17s");
}

static void ends_the_oldest_of_more_than_four(void **state)
{
	pid_t before[CHILDREN_MAX], after[CHILDREN_MAX];
	char name[32];

	(void)state;
	for (int i = 0; i < PPROF_SESSIONS_MAX; i++) {
		snprintf(name, sizeof(name), "%d.pb.gz", i);
		write_profile(name, i + 1);
		expect_page(name, NULL, "top", "do_business");
	}
	assert_int_equal(list_children(before), PPROF_SESSIONS_MAX);
	expect_page("0.pb.gz", NULL, "flamegraph", "do_business");
	expect_page("cpu.pb.gz", NULL, "top", "12s");
	assert_int_equal(list_children(after), PPROF_SESSIONS_MAX);
	assert_int_equal(after[0], before[0]);
	assert_int_equal(after[1], before[2]);
	assert_int_equal(after[2], before[3]);
}

static void begins_anew_after_one_was_killed(void **state)
{
	pid_t children[CHILDREN_MAX];
	struct pollfd pollfd = {.events = POLLIN};

	(void)state;
	expect_page("cpu.pb.gz", NULL, "top", "12s");
	assert_int_equal(list_children(children), 1);
	pollfd.fd = pidfd_open(children[0], 0);
	kill(children[0], SIGKILL);
	assert_int_equal(poll(&pollfd, 1, 5000), 1);
	close(pollfd.fd);
	expect_page("cpu.pb.gz", NULL, "top", "12s");
	assert_int_equal(list_children(children), 1);
}

/* Writes a program of that name beside the captures. */
static const char *write_program(const char *name, const char *script)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", captures, name);
	write_file(name, script, strlen(script));
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static void says_that_it_was_killed(void **state)
{
	(void)state;
	initialise(write_program("pprof", "#!/bin/sh\nkill -KILL $$\n"), captures);
	expect_error(-EINVAL, "cpu.pb.gz", NULL, "was killed; is the capture too large?");
}

static void has_bounds(void **state)
{
	struct strbuf limits = STRBUF_INIT;
	pid_t children[CHILDREN_MAX];
	char path[64];

	(void)state;
	expect_page("cpu.pb.gz", NULL, "top", "12s");
	assert_int_equal(list_children(children), 1);
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)children[0]);
	assert_int_equal(strbuf_read_file(&limits, path, 8192), 0);
	assert_non_null(strstr(limits.data, "Max address space         4294967296"));
	assert_non_null(strstr(limits.data, "Max file size             16777216"));
	strbuf_free(&limits);
}

static void *fetch_graph(void *unused)
{
	assert_true(fetch("cpu.pb.gz", NULL, "") < 0);
	return unused;
}

/* It may lay out a graph for minutes. */
static void its_dot_ends_with_it(void **state)
{
	char old_path[4096], new_path[8192], pid_path[128];
	int64_t until_ns = clock_monotonic_ns() + 20 * CLOCK_NS_PER_SEC;
	struct pollfd pollfd = {.events = POLLIN};
	struct strbuf pid = STRBUF_INIT;
	pthread_t thread;

	(void)state;
	write_program("dot", "#!/bin/sh\necho $$ >\"${0%/*}/pid.new\"\n"
			     "mv \"${0%/*}/pid.new\" \"${0%/*}/pid\"\nexec sleep 60\n");
	snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
	snprintf(new_path, sizeof(new_path), "%s:%s", captures, old_path);
	snprintf(pid_path, sizeof(pid_path), "%s/pid", captures);
	setenv("PATH", new_path, 1);
	assert_int_equal(pthread_create(&thread, NULL, fetch_graph, NULL), 0);
	while (strbuf_read_file(&pid, pid_path, 32) != 0) {
		assert_true(clock_monotonic_ns() < until_ns);
		usleep(10000);
	}
	pollfd.fd = pidfd_open((pid_t)strtol(pid.data, NULL, 10), 0);
	assert_true(pollfd.fd >= 0);
	pprof_stop();
	pthread_join(thread, NULL);
	assert_int_equal(poll(&pollfd, 1, 5000), 1);
	close(pollfd.fd);
	strbuf_free(&pid);
	setenv("PATH", old_path, 1);
}

static void stopped_it_has_none(void **state)
{
	pid_t children[CHILDREN_MAX];

	(void)state;
	expect_page("cpu.pb.gz", NULL, "top", "12s");
	pprof_stop();
	assert_int_equal(list_children(children), 0);
	expect_error(-ECANCELED, "cpu.pb.gz", NULL, "pprof cannot be started");
}

/* In a process of its own: shows DIRECTORY's cpu.pb.gz, says so, and waits to be killed. */
static int show_and_wait(const char *directory)
{
	pid_t children[CHILDREN_MAX];

	initialise("pprof", directory);
	if (fetch("cpu.pb.gz", NULL, "top") != 0 || list_children(children) != 1)
		return 1;
	fprintf(stderr, "pprof is %d\n", (int)children[0]);
	pause();
	return 0;
}

static void none_survives(void **state)
{
	struct child desk = child_start("show-and-wait", captures);
	struct pollfd pollfd = {.events = POLLIN};
	pid_t pid;

	(void)state;
	child_await(&desk, "pprof is ");
	child_await(&desk, "\n");
	pid = (pid_t)strtol(strstr(desk.text.data, "pprof is ") + strlen("pprof is "), NULL, 10);
	pollfd.fd = pidfd_open(pid, 0);
	assert_true(pollfd.fd >= 0);
	assert_int_equal(kill(desk.pid, SIGKILL), 0);
	assert_int_equal(poll(&pollfd, 1, 5000), 1);
	close(pollfd.fd);
	assert_int_equal(child_await_end(&desk, CHILD_WAIT_NS), SIGKILL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(shows_a_capture_at_once),
		TEST(shows_the_line_of_source),
		TEST(compares_two),
		TEST(passes_on_why_pprof_refuses),
		TEST(knows_what_is_no_capture),
		TEST(reads_a_replaced_capture_anew),
		TEST(ends_the_oldest_of_more_than_four),
		TEST(begins_anew_after_one_was_killed),
		TEST(says_that_it_was_killed),
		TEST(has_bounds),
		TEST(its_dot_ends_with_it),
		TEST(stopped_it_has_none),
		TEST(none_survives),
	};

	if (strcmp(argv[0], "show-and-wait") == 0 && argc == 2)
		return show_and_wait(argv[1]);
	if (modules_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
