/* The list of open descriptors, against every way to open and to close one. */
#include "../support/fds.h"
#include "../support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/fd.h"

int __open_2(const char *path, int flags);

static struct probe_fd read_open(int fd)
{
	struct probe_fd seen;

	assert_true(probe_fd_read(fd, &seen));
	return seen;
}

static void assert_closed(int fd)
{
	struct probe_fd seen;

	assert_false(probe_fd_read(fd, &seen));
}

/* It was opened just now, by this thread. */
static void assert_opened(int fd, enum probe_fd_kind kind)
{
	struct probe_fd seen = read_open(fd);

	assert_int_equal(seen.kind, kind);
	assert_int_equal(seen.tid, gettid());
	assert_false(seen.observer);
	assert_in_range(
		seen.opened_ns, clock_monotonic_ns() - CLOCK_NS_PER_SEC * 10, clock_monotonic_ns());
}

static void close_it(int fd)
{
	assert_int_equal(close(fd), 0);
	assert_closed(fd);
}

static void assert_opens(int fd, enum probe_fd_kind kind)
{
	assert_opened(fd, kind);
	close_it(fd);
}

/* ---- ways to open ---- */

static void test_files(void **state)
{
	const char *path = "/dev/null";
	int directory = open("/dev", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_opens(open(path, O_RDONLY | O_CLOEXEC), PROBE_FD_FILE);
	assert_opens(open64(path, O_RDONLY), PROBE_FD_FILE);
	assert_opens(__open_2(path, O_RDONLY), PROBE_FD_FILE);
	assert_opens(openat(directory, "null", O_RDONLY), PROBE_FD_FILE);
	assert_opens(openat64(directory, "null", O_RDONLY), PROBE_FD_FILE);
	assert_opens(creat(path, 0600), PROBE_FD_FILE);
	assert_opens(creat64(path, 0600), PROBE_FD_FILE);
	assert_opens(memfd_create("test", MFD_CLOEXEC), PROBE_FD_MEMFD);
	close_it(directory);
}

static void test_files_with_a_name_of_their_own(void **state)
{
	char names[8][40];

	(void)state;
	for (int i = 0; i < 8; i++)
		snprintf(names[i], sizeof(names[i]), "/tmp/test-fd-%d-XXXXXX%s", i,
			i < 4 ? "" : ".c");
	assert_opens(mkstemp(names[0]), PROBE_FD_FILE);
	assert_opens(mkstemp64(names[1]), PROBE_FD_FILE);
	assert_opens(mkostemp(names[2], O_CLOEXEC), PROBE_FD_FILE);
	assert_opens(mkostemp64(names[3], O_CLOEXEC), PROBE_FD_FILE);
	assert_opens(mkstemps(names[4], 2), PROBE_FD_FILE);
	assert_opens(mkstemps64(names[5], 2), PROBE_FD_FILE);
	assert_opens(mkostemps(names[6], 2, O_CLOEXEC), PROBE_FD_FILE);
	assert_opens(mkostemps64(names[7], 2, O_CLOEXEC), PROBE_FD_FILE);
	for (int i = 0; i < 8; i++)
		assert_int_equal(unlink(names[i]), 0);
}

static void assert_stream(FILE *stream, enum probe_fd_kind kind)
{
	int fd;

	assert_non_null(stream);
	fd = fileno(stream);
	assert_opened(fd, kind);
	assert_int_equal(fclose(stream), 0);
	assert_closed(fd);
}

static void test_streams(void **state)
{
	char memory[8];

	(void)state;
	assert_stream(fopen("/dev/null", "r"), PROBE_FD_FILE);
	assert_stream(fopen64("/dev/null", "r"), PROBE_FD_FILE);
	assert_stream(tmpfile(), PROBE_FD_FILE);
	assert_stream(tmpfile64(), PROBE_FD_FILE);
	assert_stream(freopen("/dev/null", "r", fopen("/dev/zero", "r")), PROBE_FD_FILE);
	assert_stream(freopen64("/dev/null", "r", fopen("/dev/zero", "r")), PROBE_FD_FILE);
	assert_stream(fdopen(eventfd(0, 0), "r"), PROBE_FD_EVENTFD);
	errno = ENOTTY;
	assert_int_equal(fclose(fmemopen(memory, sizeof(memory), "r")), 0);
	assert_int_equal(errno, ENOTTY);
}

static void test_directories_and_commands(void **state)
{
	DIR *directory = opendir("/");
	int (*volatile close_none)(DIR *) = closedir; /* declared for less than it can bear */
	FILE *stream = popen("exit 3", "r");
	int fds[] = {dirfd(directory), fileno(stream)};

	(void)state;
	assert_opened(fds[0], PROBE_FD_DIRECTORY);
	assert_opened(fds[1], PROBE_FD_PIPE);
	assert_int_equal(closedir(directory), 0);
	assert_int_equal(WEXITSTATUS(pclose(stream)), 3);
	assert_closed(fds[0]);
	assert_closed(fds[1]);
	assert_null(opendir("/nowhere"));
	assert_int_equal(close_none(NULL), -1);
	assert_int_equal(errno, EINVAL);
}

static void assert_both(const int fds[2], enum probe_fd_kind kind)
{
	assert_opens(fds[0], kind);
	assert_opens(fds[1], kind);
}

static void test_what_is_no_file(void **state)
{
	sigset_t none;
	int fds[2];

	(void)state;
	sigemptyset(&none);
	assert_int_equal(pipe(fds), 0);
	assert_both(fds, PROBE_FD_PIPE);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_both(fds, PROBE_FD_PIPE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_both(fds, PROBE_FD_SOCKETPAIR);
	assert_opens(epoll_create(1), PROBE_FD_EPOLL);
	assert_opens(epoll_create1(EPOLL_CLOEXEC), PROBE_FD_EPOLL);
	assert_opens(eventfd(0, EFD_CLOEXEC), PROBE_FD_EVENTFD);
	assert_opens(timerfd_create(CLOCK_MONOTONIC, 0), PROBE_FD_TIMERFD);
	assert_opens(inotify_init(), PROBE_FD_INOTIFY);
	assert_opens(inotify_init1(IN_CLOEXEC), PROBE_FD_INOTIFY);
	fds[0] = signalfd(-1, &none, 0);
	assert_int_equal(signalfd(fds[0], &none, 0), fds[0]);
	assert_opens(fds[0], PROBE_FD_SIGNALFD);
}

static int listen_on_loopback(struct sockaddr_in *address)
{
	socklen_t bytes = sizeof(*address);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(server, (void *)address, bytes), 0);
	assert_opened(server, PROBE_FD_SOCKET);
	assert_int_equal(listen(server, 8), 0);
	assert_opened(server, PROBE_FD_LISTENER);
	assert_int_equal(getsockname(server, (void *)address, &bytes), 0);
	return server;
}

static void test_connections(void **state)
{
	struct sockaddr_in address, nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
	int server = listen_on_loopback(&address), clients[2];

	(void)state;
	nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 2; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | (i ? SOCK_NONBLOCK : 0), 0);
		assert_opened(clients[i], PROBE_FD_SOCKET);
		assert_int_equal(connect(clients[i], (void *)&nobody, sizeof(nobody)), -1);
		if (errno != EINPROGRESS)
			assert_opened(clients[i], PROBE_FD_SOCKET);
		(void)connect(clients[i], (void *)&address, sizeof(address));
		assert_opened(clients[i], PROBE_FD_CONNECTION);
	}
	assert_opens(accept(server, NULL, NULL), PROBE_FD_ACCEPTED);
	close_it(clients[0]);
	close_it(clients[1]);
	clients[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(clients[0], (void *)&address, sizeof(address)), 0);
	assert_opens(accept4(server, NULL, NULL, SOCK_CLOEXEC), PROBE_FD_ACCEPTED);
	close_it(clients[0]);
	close_it(server);
}

/* ---- copies ---- */

static void test_copies(void **state)
{
	int first = eventfd(0, 0), second = dup(first);
	int64_t first_ns = read_open(first).opened_ns;

	(void)state;
	assert_opens(fcntl(first, F_DUPFD, 0), PROBE_FD_EVENTFD);
	assert_opens(fcntl64(first, F_DUPFD_CLOEXEC, 100), PROBE_FD_EVENTFD);
	/* No descriptor, though it looks like one: that of stderr, from before the start. */
	assert_int_equal(fcntl(first, F_GETFL), STDERR_FILENO);
	assert_closed(STDERR_FILENO);
	close_it(second);
	second = open("/dev/null", O_RDONLY);
	assert_int_equal(dup2(first, second), second);
	assert_opened(second, PROBE_FD_EVENTFD);
	assert_int_equal(dup2(first, first), first);
	assert_int_equal(read_open(first).opened_ns, first_ns);
	close_it(first);
	first = open("/dev/null", O_RDONLY);
	assert_int_equal(dup3(second, first, O_CLOEXEC), first);
	assert_opens(first, PROBE_FD_EVENTFD);
	close_it(second);
	second = dup((int)syscall(SYS_epoll_create1, 0));
	assert_opens(second, PROBE_FD_OTHER);
}

static void test_what_fails_changes_nothing(void **state)
{
	int fd = open("/dev/null", O_RDONLY);
	struct probe_fd before = read_open(fd), after;

	(void)state;
	errno = 0;
	assert_int_equal(dup2(-1, fd), -1);
	assert_int_equal(dup3(fd, fd, 0), -1);
	assert_int_equal(close_range(UINT_MAX, 3, 0), -1);
	assert_int_equal(close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC), 0);
	after = read_open(fd);
	assert_int_equal(after.opened_ns, before.opened_ns);
	assert_int_equal(after.pc, before.pc);
	close_it(fd);
	assert_int_equal(close(fd), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(close(-1), -1);
	assert_int_equal(close(INT_MAX), -1);
	assert_closed(fd);
}

static void test_closing_many(void **state)
{
	int fds[6];

	(void)state;
	for (int i = 0; i < 6; i++)
		fds[i] = fcntl(STDERR_FILENO, F_DUPFD, 200 + i);
	assert_int_equal(close_range(201, 202, 0), 0);
	assert_closed(fds[1]);
	assert_closed(fds[2]);
	assert_opened(fds[0], PROBE_FD_OTHER);
	assert_opened(fds[3], PROBE_FD_OTHER);
	closefrom(204);
	assert_closed(fds[4]);
	assert_closed(fds[5]);
	close_it(fds[0]);
	close_it(fds[3]);
}

/* ---- limits ---- */

static void set_limit(rlim_t soft)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = soft;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void assert_emfile(int answer)
{
	assert_int_equal(answer, -1);
	assert_int_equal(errno, EMFILE);
	errno = 0;
}

static void test_exhaustion_adds_nothing(void **state)
{
	struct sockaddr_in address;
	struct rlimit limit;
	int server = listen_on_loopback(&address), client = socket(AF_INET, SOCK_STREAM, 0);
	int fd = open("/dev/null", O_RDONLY), fds[2] = {-7, -7};

	(void)state;
	assert_int_equal(connect(client, (void *)&address, sizeof(address)), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* One is left: not enough for two. */
	set_limit((rlim_t)fd + 2);
	assert_emfile(pipe(fds));
	assert_emfile(pipe2(fds, O_CLOEXEC));
	assert_emfile(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	assert_closed(fd + 1);
	set_limit((rlim_t)fd + 1);
	assert_emfile(open("/dev/null", O_RDONLY));
	assert_emfile(dup(fd));
	assert_emfile(fcntl(fd, F_DUPFD, 0));
	assert_emfile(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	assert_int_equal(dup2(fd, fd + 1), -1);
	assert_int_equal(dup3(fd, fd + 1, O_CLOEXEC), -1);
	assert_emfile(socket(AF_INET, SOCK_STREAM, 0));
	assert_emfile(accept(server, NULL, NULL));
	assert_emfile(accept4(server, NULL, NULL, SOCK_CLOEXEC));
	assert_emfile(epoll_create1(0));
	assert_emfile(eventfd(0, 0));
	assert_null(fopen("/dev/null", "r"));
	assert_null(opendir("/"));
	set_limit(limit.rlim_cur);
	for (int next = fd + 1; next < fd + 5; next++)
		assert_closed(next);
	assert_opens(accept4(server, NULL, NULL, 0), PROBE_FD_ACCEPTED);
	close_it(fd);
	close_it(client);
	close_it(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_files_with_a_name_of_their_own),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_directories_and_commands),
		cmocka_unit_test(test_what_is_no_file),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_what_fails_changes_nothing),
		cmocka_unit_test(test_closing_many),
		cmocka_unit_test(test_exhaustion_adds_nothing),
	};

	return cmocka_run_group_tests(tests, fds_set_up, NULL);
}
