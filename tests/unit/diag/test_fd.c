/* What is open now, as a profile and as text. */
#include "../support/fds.h"
#include "../support/read_profile.h"
#include "../support/test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "diag/fd.h"
#include "probe/modules.h"
#include "probe/thread.h"

#define FILES 5

static int files[FILES];

static TEST_FRAME void open_files(void)
{
	for (int i = 0; i < FILES; i++)
		files[i] = open("/dev/null", O_RDONLY);
}

static void close_files(void)
{
	for (int i = 0; i < FILES; i++)
		assert_int_equal(close(files[i]), 0);
}

static struct fd_snapshot *take(enum fd_scope scope, int64_t since_ns)
{
	struct fd_snapshot *snapshot;

	assert_int_equal(fd_snapshot_take(scope, since_ns, &snapshot), 0);
	return snapshot;
}

static struct read_profile *open_profile(enum fd_scope scope, int64_t since_ns)
{
	struct fd_snapshot *snapshot = take(scope, since_ns);
	struct strbuf out = STRBUF_INIT;
	struct read_profile *profile;

	assert_int_equal(fd_encode(snapshot, 0, &out), 0);
	profile = read_profile_open(&out);
	strbuf_free(&out);
	free(snapshot);
	return profile;
}

static void assert_counts(enum fd_scope scope, int64_t since_ns, const char *function, int count)
{
	struct read_profile *profile = open_profile(scope, since_ns);

	assert_int_equal(read_profile_cumulative(profile, 0, function), count);
	read_profile_close(profile);
}

static void test_what_is_open_is_counted_where_it_was_opened(void **state)
{
	struct read_profile *profile;

	(void)state;
	open_files();
	profile = open_profile(FD_ALL, 0);
	assert_int_equal(read_profile_labelled(profile, 0, "open_files", "kind", "file"), FILES);
	assert_int_equal(read_profile_edge(profile, 0, "open_files", __func__), FILES);
	read_profile_close(profile);
	close_files();
	assert_counts(FD_ALL, 0, "open_files", 0);
}

static void test_the_window_has_what_came_in_it(void **state)
{
	int64_t before_ns = clock_monotonic_ns(), after_ns;
	struct fd_snapshot *snapshot;

	(void)state;
	open_files();
	after_ns = clock_monotonic_ns() + 1;
	snapshot = take(FD_ALL, before_ns);
	assert_int_equal(snapshot->view_count, FILES);
	assert_int_equal(snapshot->untracked_count, 0);
	free(snapshot);
	assert_counts(FD_ALL, before_ns, "open_files", FILES);
	assert_counts(FD_ALL, after_ns, "open_files", 0);
	close_files();
}

/* Past libc's functions: seen in /proc alone. */
static void test_what_was_not_seen_is_said_to_be_untracked(void **state)
{
	struct read_profile *profile = open_profile(FD_ALL, 0);
	int64_t before = read_profile_labelled(profile, 0, NULL, "kind", "untracked");
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);

	(void)state;
	read_profile_close(profile);
	profile = open_profile(FD_ALL, 0);
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "kind", "untracked"), before + 1);
	assert_int_equal(read_profile_cumulative(profile, 0, "[no stack]"), before + 1);
	assert_non_null(strstr(read_profile_comment(profile), " untracked: inherited, or opened"));
	read_profile_close(profile);
	close(fd);
}

static TEST_FRAME void connect_one(const struct sockaddr_in *address, int *fd)
{
	*fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(*fd, (const struct sockaddr *)address, sizeof(*address)), 0);
}

static TEST_FRAME int accept_one(int server)
{
	int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);

	return fd;
}

static void test_connections_are_what_has_a_peer(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int server = socket(AF_INET, SOCK_STREAM, 0), client, accepted, copy;
	struct read_profile *profile;

	(void)state;
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(
		getsockname(server, (struct sockaddr *)&address, &(socklen_t){sizeof(address)}), 0);
	connect_one(&address, &client);
	accepted = accept_one(server);
	copy = (int)syscall(SYS_dup, accepted);
	open_files();
	profile = open_profile(FD_CONNECTIONS, 0);
	assert_int_equal(read_profile_total(profile, 0), 3);
	assert_int_equal(read_profile_cumulative(profile, 0, "connect_one"), 1);
	assert_int_equal(read_profile_cumulative(profile, 0, "accept_one"), 1);
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "kind", "connection"), 2);
	assert_int_equal(read_profile_labelled(profile, 0, NULL, "kind", "untracked"), 1);
	read_profile_close(profile);
	close_files();
	close(copy);
	close(accepted);
	close(client);
	close(server);
}

static void test_observers_are_left_out(void **state)
{
	struct fd_snapshot *before = take(FD_ALL, 0), *after;

	(void)state;
	probe_observe_begin();
	open_files();
	probe_observe_end();
	after = take(FD_ALL, 0);
	assert_int_equal(after->view_count, before->view_count);
	assert_int_equal(after->untracked_count, before->untracked_count);
	close_files();
	free(before);
	free(after);
}

/* ---- as text ---- */

static void test_groups_as_text(void **state)
{
	int64_t since_ns = clock_monotonic_ns();
	struct strbuf out = STRBUF_INIT;
	struct fd_snapshot *snapshot;
	int fds[2];

	(void)state;
	open_files();
	assert_int_equal(pipe(fds), 0);
	snapshot = take(FD_ALL, since_ns);
	fd_print_groups(snapshot, &out);
	assert_memory_equal(out.data, "fd profile: total 7\n5 @ 0x", 26);
	assert_non_null(strstr(out.data, "\n# labels: {\"kind\":\"file\"}\n#\t0x"));
	assert_non_null(strstr(out.data, "\topen_files+0x"));
	assert_non_null(strstr(out.data, "tests/unit/diag/test_fd.c:"));
	assert_non_null(strstr(out.data, "\n\n2 @ 0x"));
	assert_non_null(strstr(out.data, "\n# labels: {\"kind\":\"pipe\"}\n"));
	strbuf_free(&out);
	free(snapshot);
	close_files();
	close(fds[0]);
	close(fds[1]);
}

/* pprof refuses a whole text for one line "N @" without an address. */
static void test_a_group_without_a_stack_has_an_address(void **state)
{
	struct strbuf out = STRBUF_INIT;
	struct fd_snapshot *snapshot = take(FD_ALL, 0);
	char line[64];

	(void)state;
	assert_true(snapshot->untracked_count > 0);
	snprintf(line, sizeof(line),
		"\n%zu @ 0x0\n#\t0x0\t(%zu untracked: ", snapshot->untracked_count,
		snapshot->untracked_count);
	fd_print_groups(snapshot, &out);
	assert_non_null(strstr(out.data, line));
	strbuf_free(&out);
	free(snapshot);
}

/* Names are the program's: they may hold anything, and must not look like another line. */
static void test_each_as_text(void **state)
{
	const char *path = "/tmp/test-fd\n\"x\"";
	int64_t since_ns = clock_monotonic_ns();
	int fd = open(path, O_CREAT | O_RDONLY, 0600);
	struct strbuf out = STRBUF_INIT;
	struct fd_snapshot *snapshot = take(FD_ALL, since_ns);
	char expected[160];

	(void)state;
	snapshot->monotonic_ns = snapshot->views[0].opened.opened_ns + 41 * CLOCK_NS_PER_SEC;
	snprintf(expected, sizeof(expected),
		"fd %d [file, 41 seconds]: \"/tmp/test-fd\\n\\\"x\\\"\"\nopened by thread %d\n"
		"test_each_as_text\n\t",
		fd, (int)gettid());
	fd_print_each(snapshot, &out);
	assert_memory_equal(out.data, expected, strlen(expected));
	strbuf_free(&out);
	free(snapshot);
	close(fd);
	unlink(path);
}

static TEST_FRAME int fill_up(void)
{
	int count = 0;

	while (open("/dev/null", O_RDONLY) >= 0)
		count++;
	return count;
}

/* In a child of its own: a hard limit is not raised again. What has names has them from before. */
static int look_with_no_descriptor_left(void)
{
	const struct rlimit limit = {64, 64};
	struct fd_snapshot *before, *full;
	struct strbuf text = STRBUF_INIT;
	char group[32];
	int count;

	probe_thread_init();
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || modules_init() != 0 || probe_fd_start() != 0 ||
		fd_snapshot_take(FD_ALL, 0, &before) != 0)
		return 1;
	fd_print_groups(before, &text);
	count = fill_up();
	if (fd_snapshot_take(FD_ALL, 0, &full) != 0 ||
		full->view_count != before->view_count + (size_t)count ||
		full->untracked_count != before->untracked_count)
		return 2;
	fd_print_groups(full, &text);
	snprintf(group, sizeof(group), "\n%d @ 0x", count);
	return strstr(text.data, group) && strstr(text.data, "\tfill_up+0x") ? 0 : 3;
}

static void test_all_is_there_with_no_descriptor_left(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(look_with_no_descriptor_left());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest before_the_start[] = {
		cmocka_unit_test(test_all_is_there_with_no_descriptor_left),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_open_is_counted_where_it_was_opened),
		cmocka_unit_test(test_the_window_has_what_came_in_it),
		cmocka_unit_test(test_what_was_not_seen_is_said_to_be_untracked),
		cmocka_unit_test(test_connections_are_what_has_a_peer),
		cmocka_unit_test(test_observers_are_left_out),
		cmocka_unit_test(test_groups_as_text),
		cmocka_unit_test(test_a_group_without_a_stack_has_an_address),
		cmocka_unit_test(test_each_as_text),
	};

	return cmocka_run_group_tests(before_the_start, NULL, NULL) ||
	       cmocka_run_group_tests(tests, fds_set_up, NULL);
}
