/* Every function of syscalls.def is told of, with what it was asked and what it answered. */
#include "../support/test.h"
#include "../support/told_syscall.h"

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
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "probe/thread.h"

int __open_2(const char *path, int flags);

/* Of a processor that has the older call. */
#ifdef SYS_unlink
#define OLDER_OR(older, newer) older
#else
#define OLDER_OR(older, newer) newer
#endif

static void close_told(int fd)
{
	int result = close(fd);

	told_syscall_expect_fd("close", "close", fd, result);
	assert_int_equal(result, 0);
}

/* ---- files ---- */

static char directory[] = "/tmp/test-syscall-XXXXXX";
static char file[PATH_MAX];

#define EXPECT_OPENED(function, syscall, path, call)                          \
	do {                                                                  \
		int opened = call;                                            \
                                                                              \
		told_syscall_expect(function, syscall, -1, path, -1, opened); \
		close_told(opened);                                           \
	} while (0)

static void test_opening(void **state)
{
	struct stat status;

	(void)state;
	snprintf(file, sizeof(file), "%s/file", directory);
	EXPECT_OPENED("open", "openat", file, open(file, O_RDWR | O_CREAT, 0604));
	assert_int_equal(stat(file, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0604);
	EXPECT_OPENED("open64", "openat", file, open64(file, O_RDONLY));
	EXPECT_OPENED("__open_2", "openat", file, __open_2(file, O_RDONLY));
	EXPECT_OPENED("creat", OLDER_OR("creat", "openat"), file, creat(file, 0600));
	EXPECT_OPENED("creat64", OLDER_OR("creat", "openat"), file, creat64(file, 0600));
	told_syscall_expect("open", "openat", -1, "/nowhere", -1, open("/nowhere", O_RDONLY));
}

static void test_opening_in_a_directory(void **state)
{
	int parent = open(directory, O_PATH | O_DIRECTORY), opened;

	(void)state;
	told_syscall_expect("open", "openat", -1, directory, -1, parent);
	opened = openat(parent, "file", O_RDONLY);
	told_syscall_expect("openat", "openat", parent, "file", -1, opened);
	close_told(opened);
	opened = openat64(AT_FDCWD, file, O_RDONLY);
	told_syscall_expect("openat64", "openat", AT_FDCWD, file, -1, opened);
	close_told(opened);
	told_syscall_expect(
		"unlinkat", "unlinkat", parent, "none", -1, unlinkat(parent, "none", 0));
	close_told(parent);
}

#define EXPECT_MADE(function, made, call)                                                      \
	do {                                                                                   \
		int opened = call;                                                             \
                                                                                               \
		assert_null(strstr(made, "XXXXXX"));                                           \
		told_syscall_expect(function, "openat", -1, made, -1, opened);                 \
		close_told(opened);                                                            \
		told_syscall_expect(                                                           \
			"unlink", OLDER_OR("unlink", "unlinkat"), -1, made, -1, unlink(made)); \
	} while (0)

static void test_a_name_is_told_as_it_was_made(void **state)
{
	char names[9][40];

	(void)state;
	for (int i = 0; i < 9; i++)
		snprintf(names[i], sizeof(names[i]), "/tmp/test-made-%d-XXXXXX%s", i,
			i < 5 ? "" : ".c");
	EXPECT_MADE("mkstemp", names[0], mkstemp(names[0]));
	EXPECT_MADE("mkstemp64", names[1], mkstemp64(names[1]));
	EXPECT_MADE("mkostemp", names[2], mkostemp(names[2], O_CLOEXEC));
	EXPECT_MADE("mkostemp64", names[3], mkostemp64(names[3], O_CLOEXEC));
	EXPECT_MADE("mkstemps", names[5], mkstemps(names[5], 2));
	EXPECT_MADE("mkstemps64", names[6], mkstemps64(names[6], 2));
	EXPECT_MADE("mkostemps", names[7], mkostemps(names[7], 2, O_CLOEXEC));
	EXPECT_MADE("mkostemps64", names[8], mkostemps64(names[8], 2, O_CLOEXEC));
	told_syscall_expect("mkdtemp", OLDER_OR("mkdir", "mkdirat"), -1, names[4], -1,
		mkdtemp(names[4]) ? 0 : -1);
	assert_null(strstr(names[4], "XXXXXX"));
	told_syscall_expect(
		"rmdir", OLDER_OR("rmdir", "unlinkat"), -1, names[4], -1, rmdir(names[4]));
	told_syscall_expect("mkdtemp", OLDER_OR("mkdir", "mkdirat"), -1, "short", -1,
		mkdtemp((char[]){"short"}) ? 0 : -1);
}

static void fclose_told(FILE *stream)
{
	int fd = fileno(stream);

	told_syscall_expect_fd("fclose", "close", fd, fclose(stream));
}

/* Of streams what they read and write is libc's own. */
static void test_streams(void **state)
{
	FILE *stream = fopen(file, "w");

	(void)state;
	told_syscall_expect("fopen", "openat", -1, file, -1, fileno(stream));
	fputs("some text", stream);
	fclose_told(stream);
	stream = fopen64(file, "r");
	told_syscall_expect("fopen64", "openat", -1, file, -1, fileno(stream));
	stream = freopen(file, "r", stream);
	told_syscall_expect("freopen", "openat", -1, file, -1, fileno(stream));
	stream = freopen64(file, "r", stream);
	told_syscall_expect("freopen64", "openat", -1, file, -1, fileno(stream));
	fclose_told(stream);
	stream = fopen("/nowhere", "r");
	told_syscall_expect("fopen", "openat", -1, "/nowhere", -1, -1);
	assert_null(stream);
	stream = tmpfile();
	told_syscall_expect_fd("tmpfile", "openat", -1, fileno(stream));
	fclose_told(stream);
	stream = tmpfile64();
	told_syscall_expect_fd("tmpfile64", "openat", -1, fileno(stream));
	fclose_told(stream);
}

static void test_commands_and_directories(void **state)
{
	FILE *stream = popen("exit 3", "r");
	DIR *opened;
	int fd = fileno(stream);

	(void)state;
	told_syscall_expect_fd("popen", "pipe2", -1, fd);
	told_syscall_expect_fd("pclose", "wait4", fd, pclose(stream));
	opened = opendir(directory);
	fd = dirfd(opened);
	told_syscall_expect("opendir", "openat", -1, directory, -1, fd);
	told_syscall_expect_fd("closedir", "close", fd, closedir(opened));
}

static void test_names(void **state)
{
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/made", directory);
	told_syscall_expect("mkdir", OLDER_OR("mkdir", "mkdirat"), -1, path, -1, mkdir(path, 0700));
	told_syscall_expect("mkdir", OLDER_OR("mkdir", "mkdirat"), -1, path, -1, mkdir(path, 0700));
	told_syscall_expect(
		"rename", OLDER_OR("rename", "renameat"), -1, path, -1, rename(path, "/nowhere/x"));
	told_syscall_expect("rmdir", OLDER_OR("rmdir", "unlinkat"), -1, path, -1, rmdir(path));
}

/* ---- reading and writing ---- */

static void test_reading_and_writing(void **state)
{
	char data[8] = "data";
	struct iovec parts[2] = {{data, 2}, {data + 2, 3}};
	int fd = open(file, O_RDWR | O_TRUNC);

	(void)state;
	told_syscall_expect("open", "openat", -1, file, -1, fd);
	told_syscall_expect("write", "write", fd, NULL, 5, write(fd, data, 5));
	told_syscall_expect("pwrite", "pwrite64", fd, NULL, 5, pwrite(fd, data, 5, 5));
	told_syscall_expect("pwrite64", "pwrite64", fd, NULL, 5, pwrite64(fd, data, 5, 10));
	told_syscall_expect_fd("writev", "writev", fd, writev(fd, parts, 2));
	told_syscall_expect_fd("lseek", "lseek", fd, lseek(fd, 0, SEEK_SET));
	told_syscall_expect("read", "read", fd, NULL, 8, read(fd, data, 8));
	told_syscall_expect("pread", "pread64", fd, NULL, 8, pread(fd, data, 8, 12));
	told_syscall_expect("pread64", "pread64", fd, NULL, 8, pread64(fd, data, 8, 100));
	told_syscall_expect_fd("lseek64", "lseek", fd, lseek64(fd, 0, SEEK_SET));
	told_syscall_expect_fd("readv", "readv", fd, readv(fd, parts, 2));
	assert_string_equal(data, "data");
	close_told(fd);
	told_syscall_expect("read", "read", fd, NULL, 8, read(fd, data, 8));
	told_syscall_expect_fd("close", "close", -1, close(-1));
}

/* ---- descriptors ---- */

static void close_both(const int fds[2])
{
	close_told(fds[0]);
	close_told(fds[1]);
}

static void test_descriptors(void **state)
{
	int first = eventfd(3, EFD_CLOEXEC), second = -1, flags = -1;

	(void)state;
	told_syscall_expect_fd("eventfd", "eventfd2", -1, first);
	second = dup(first);
	told_syscall_expect_fd("dup", "dup", first, second);
	told_syscall_expect_fd("dup2", OLDER_OR("dup2", "dup3"), first, dup2(first, second));
	told_syscall_expect_fd("dup3", "dup3", first, dup3(first, second, O_CLOEXEC));
	close_told(second);
	told_syscall_expect_fd("close_range", "close_range", 1000, close_range(1000, 1001, 0));
	told_syscall_expect_fd("fcntl", "fcntl", first, fcntl(first, F_SETFL, O_NONBLOCK));
	flags = fcntl64(first, F_GETFL);
	told_syscall_expect_fd("fcntl64", "fcntl", first, flags);
	assert_true(flags & O_NONBLOCK);
	flags = 0;
	told_syscall_expect_fd("ioctl", "ioctl", first, ioctl(first, FIONBIO, &flags));
	close_told(first);
	told_syscall_expect_fd("dup", "dup", first, dup(first));
}

static void test_pipes_timers_and_epoll(void **state)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fds[2], epoll;

	(void)state;
	told_syscall_expect_fd("pipe", "pipe2", -1, pipe(fds));
	close_both(fds);
	told_syscall_expect_fd("pipe2", "pipe2", -1, pipe2(fds, O_CLOEXEC));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	told_syscall_expect_fd("epoll_create1", "epoll_create1", -1, epoll);
	told_syscall_expect_fd(
		"epoll_ctl", "epoll_ctl", epoll, epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
	close_told(epoll);
	close_both(fds);
	epoll = epoll_create(1);
	told_syscall_expect_fd(
		"epoll_create", OLDER_OR("epoll_create", "epoll_create1"), -1, epoll);
	close_told(epoll);
	epoll = timerfd_create(CLOCK_MONOTONIC, 0);
	told_syscall_expect_fd("timerfd_create", "timerfd_create", -1, epoll);
	close_told(epoll);
}

static void test_signals_watches_and_memory(void **state)
{
	sigset_t none;
	int fd;

	(void)state;
	sigemptyset(&none);
	fd = signalfd(-1, &none, SFD_CLOEXEC);
	told_syscall_expect_fd("signalfd", "signalfd4", -1, fd);
	close_told(fd);
	fd = inotify_init();
	told_syscall_expect_fd("inotify_init", OLDER_OR("inotify_init", "inotify_init1"), -1, fd);
	close_told(fd);
	fd = inotify_init1(IN_CLOEXEC);
	told_syscall_expect_fd("inotify_init1", "inotify_init1", -1, fd);
	close_told(fd);
	fd = memfd_create("test", MFD_CLOEXEC);
	told_syscall_expect_fd("memfd_create", "memfd_create", -1, fd);
	close_told(fd);
}

/* ---- sockets ---- */

static void test_connecting(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0), clients[2], accepted[2];

	(void)state;
	told_syscall_expect_fd("socket", "socket", -1, server);
	told_syscall_expect_fd("bind", "bind", server, bind(server, (void *)&address, bytes));
	told_syscall_expect_fd("listen", "listen", server, listen(server, 2));
	told_syscall_expect_fd("setsockopt", "setsockopt", server,
		setsockopt(server, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)));
	told_syscall_expect_fd("getsockopt", "getsockopt", server,
		getsockopt(server, SOL_SOCKET, SO_TYPE, &(int){0}, &(socklen_t){sizeof(int)}));
	told_syscall_expect_fd("getsockname", "getsockname", server,
		getsockname(server, (void *)&address, &bytes));
	told_syscall_expect_fd("getpeername", "getpeername", server,
		getpeername(server, (void *)&address, &(socklen_t){bytes}));
	for (int i = 0; i < 2; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		told_syscall_expect_fd("socket", "socket", -1, clients[i]);
		told_syscall_expect_fd("connect", "connect", clients[i],
			connect(clients[i], (void *)&address, bytes));
	}
	accepted[0] = accept(server, NULL, NULL);
	told_syscall_expect_fd("accept", "accept", server, accepted[0]);
	accepted[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	told_syscall_expect_fd("accept4", "accept4", server, accepted[1]);
	close_both(accepted);
	close_both(clients);
	close_told(server);
	told_syscall_expect_fd("accept4", "accept4", server, accept4(server, NULL, NULL, 0));
}

static void test_sending_and_receiving(void **state)
{
	char data[4] = "abc";
	struct iovec part = {data, 4};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int fds[2];

	(void)state;
	told_syscall_expect_fd(
		"socketpair", "socketpair", -1, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
	told_syscall_expect("send", "sendto", fds[0], NULL, 4, send(fds[0], data, 4, 0));
	told_syscall_expect(
		"sendto", "sendto", fds[0], NULL, 4, sendto(fds[0], data, 4, 0, NULL, 0));
	told_syscall_expect_fd("sendmsg", "sendmsg", fds[0], sendmsg(fds[0], &message, 0));
	told_syscall_expect("recv", "recvfrom", fds[1], NULL, 2, recv(fds[1], data, 2, 0));
	told_syscall_expect(
		"recvfrom", "recvfrom", fds[1], NULL, 4, recvfrom(fds[1], data, 4, 0, NULL, NULL));
	told_syscall_expect_fd("recvmsg", "recvmsg", fds[1], recvmsg(fds[1], &message, 0));
	told_syscall_expect(
		"recv", "recvfrom", fds[1], NULL, 4, recv(fds[1], data, 4, MSG_DONTWAIT));
	told_syscall_expect_fd("shutdown", "shutdown", fds[0], shutdown(fds[0], SHUT_WR));
	close_both(fds);
}

/* ---- memory and random numbers ---- */

static void test_memory(void **state)
{
	const size_t size = 1 << 16;
	char *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	told_syscall_expect("mmap", "mmap", -1, NULL, size, (intptr_t)at);
	told_syscall_expect("munmap", "munmap", -1, NULL, size, munmap(at, size));
	at = mmap64(NULL, size, PROT_READ, MAP_PRIVATE, -1, 0);
	told_syscall_expect("mmap64", "mmap", -1, NULL, size, -1);
	assert_ptr_equal(at, MAP_FAILED);
	at = sbrk(0);
	told_syscall_expect_none();
	assert_ptr_equal(sbrk(4096), at);
	told_syscall_expect("sbrk", "brk", -1, NULL, 4096, (intptr_t)at);
}

static void test_random_numbers(void **state)
{
	char data[257];

	(void)state;
	told_syscall_expect("getrandom", "getrandom", -1, NULL, 16, getrandom(data, 16, 0));
	told_syscall_expect("getentropy", "getrandom", -1, NULL, 8, getentropy(data, 8));
	told_syscall_expect("getentropy", "getrandom", -1, NULL, 257, getentropy(data, 257));
}

static void test_no_function_was_left_out(void **state)
{
	(void)state;
	told_syscall_assert_all();
}

static int set_up(void **state)
{
	(void)state;
	probe_thread_init();
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(file) || rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, told_syscall_begin, told_syscall_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_opening),
		TEST(test_opening_in_a_directory),
		TEST(test_a_name_is_told_as_it_was_made),
		TEST(test_streams),
		TEST(test_commands_and_directories),
		TEST(test_names),
		TEST(test_reading_and_writing),
		TEST(test_descriptors),
		TEST(test_pipes_timers_and_epoll),
		TEST(test_signals_watches_and_memory),
		TEST(test_connecting),
		TEST(test_sending_and_receiving),
		TEST(test_memory),
		TEST(test_random_numbers),
		cmocka_unit_test(test_no_function_was_left_out),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
