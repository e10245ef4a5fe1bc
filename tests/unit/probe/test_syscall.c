/* Every function of syscalls.def is told of, with what it was asked and what it answered. */
#include "../support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/syscall.h"
#include "probe/thread.h"

int __open_2(const char *path, int flags);

/* ---- what was told ---- */

#define TOLD_MAX 64

static const char *const functions[] = {
#define PROBE_SYSCALL(type, name, ...) #name,
#define PROBE_SYSCALL_REST(type, name, ...) #name,
#include "probe/syscalls.def"
#undef PROBE_SYSCALL
#undef PROBE_SYSCALL_REST
};
#define FUNCTION_COUNT (sizeof(functions) / sizeof(functions[0]))

static struct told {
	struct probe_syscall call;
	char path[PATH_MAX];
} told[TOLD_MAX];
static atomic_size_t told_count;
static bool was_told[FUNCTION_COUNT];

/* Both do what must neither be told nor be noticed by the program. */
static bool is_wanted(void)
{
	dup(-1);
	errno = EXDEV;
	return true;
}

static void on_end(const struct probe_syscall *call)
{
	struct told *next = &told[atomic_fetch_add(&told_count, 1) % TOLD_MAX];

	dup(-1);
	next->call = *call;
	snprintf(next->path, sizeof(next->path), "%s", call->path ? call->path : "none");
	errno = EXDEV;
}

static const struct probe_syscall_listener listener = {is_wanted, on_end};

static int begin_listening(void **state)
{
	(void)state;
	atomic_store(&told_count, 0);
	probe_syscall_listen(&listener);
	return 0;
}

static int end_listening(void **state)
{
	(void)state;
	probe_syscall_listen(NULL);
	return 0;
}

static void note_function(const char *function)
{
	for (size_t i = 0; i < FUNCTION_COUNT; i++)
		if (strcmp(functions[i], function) == 0)
			was_told[i] = true;
}

/* One call was told, this one; forgets it. RESULT: what was returned, with errno as it was left. */
static void expect(const char *function, const char *syscall, int fd, const char *path,
	int64_t size_bytes, int64_t result)
{
	const struct probe_syscall *call = &told[0].call;
	int error = errno;

	assert_int_equal(atomic_load(&told_count), 1);
	assert_string_equal(call->call->function, function);
	assert_string_equal(call->call->syscall, syscall);
	assert_int_equal(call->fd, fd);
	assert_string_equal(told[0].path, path ? path : "none");
	assert_int_equal(call->size_bytes, size_bytes);
	assert_int_equal(call->result, result == -1 ? -error : result);
	assert_in_range(call->begin_ns, 1, call->end_ns);
	assert_in_range(call->end_ns, call->begin_ns, clock_monotonic_ns());
	note_function(function);
	atomic_store(&told_count, 0);
}

/* Of a processor that has the older call. */
#ifdef SYS_unlink
#define OLDER_OR(older, newer) older
#else
#define OLDER_OR(older, newer) newer
#endif

static void close_told(int fd)
{
	int result = close(fd);

	expect("close", "close", fd, NULL, -1, result);
	assert_int_equal(result, 0);
}

/* ---- files ---- */

static char directory[] = "/tmp/test-syscall-XXXXXX";
static char file[PATH_MAX];

#define EXPECT_OPENED(function, syscall, path, call)             \
	do {                                                     \
		int opened = call;                               \
                                                                 \
		expect(function, syscall, -1, path, -1, opened); \
		close_told(opened);                              \
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
	expect("open", "openat", -1, "/nowhere", -1, open("/nowhere", O_RDONLY));
}

static void test_opening_in_a_directory(void **state)
{
	int parent = open(directory, O_PATH | O_DIRECTORY), opened;

	(void)state;
	expect("open", "openat", -1, directory, -1, parent);
	opened = openat(parent, "file", O_RDONLY);
	expect("openat", "openat", parent, "file", -1, opened);
	close_told(opened);
	opened = openat64(AT_FDCWD, file, O_RDONLY);
	expect("openat64", "openat", AT_FDCWD, file, -1, opened);
	close_told(opened);
	expect("unlinkat", "unlinkat", parent, "none", -1, unlinkat(parent, "none", 0));
	close_told(parent);
}

#define EXPECT_MADE(function, made, call)                                                     \
	do {                                                                                  \
		int opened = call;                                                            \
                                                                                              \
		assert_null(strstr(made, "XXXXXX"));                                          \
		expect(function, "openat", -1, made, -1, opened);                             \
		close_told(opened);                                                           \
		expect("unlink", OLDER_OR("unlink", "unlinkat"), -1, made, -1, unlink(made)); \
	} while (0)

static void test_a_name_is_told_as_it_was_made(void **state)
{
	char names[5][40];

	(void)state;
	for (int i = 0; i < 5; i++)
		snprintf(names[i], sizeof(names[i]), "/tmp/test-made-%d-XXXXXX", i);
	EXPECT_MADE("mkstemp", names[0], mkstemp(names[0]));
	EXPECT_MADE("mkstemp64", names[1], mkstemp64(names[1]));
	EXPECT_MADE("mkostemp", names[2], mkostemp(names[2], O_CLOEXEC));
	EXPECT_MADE("mkostemp64", names[3], mkostemp64(names[3], O_CLOEXEC));
	expect("mkdtemp", OLDER_OR("mkdir", "mkdirat"), -1, names[4], -1,
		mkdtemp(names[4]) ? 0 : -1);
	assert_null(strstr(names[4], "XXXXXX"));
	expect("rmdir", OLDER_OR("rmdir", "unlinkat"), -1, names[4], -1, rmdir(names[4]));
	expect("mkdtemp", OLDER_OR("mkdir", "mkdirat"), -1, "short", -1,
		mkdtemp((char[]){"short"}) ? 0 : -1);
}

/* Of streams the opening alone is told: what they read and write is libc's own. */
static void test_streams(void **state)
{
	FILE *stream = fopen(file, "w");

	(void)state;
	expect("fopen", "openat", -1, file, -1, fileno(stream));
	fputs("some text", stream);
	fclose(stream);
	stream = fopen64(file, "r");
	expect("fopen64", "openat", -1, file, -1, fileno(stream));
	fclose(stream);
	stream = fopen("/nowhere", "r");
	expect("fopen", "openat", -1, "/nowhere", -1, -1);
	assert_null(stream);
}

static void test_names(void **state)
{
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/made", directory);
	expect("mkdir", OLDER_OR("mkdir", "mkdirat"), -1, path, -1, mkdir(path, 0700));
	expect("mkdir", OLDER_OR("mkdir", "mkdirat"), -1, path, -1, mkdir(path, 0700));
	expect("rename", OLDER_OR("rename", "renameat"), -1, path, -1, rename(path, "/nowhere/x"));
	expect("rmdir", OLDER_OR("rmdir", "unlinkat"), -1, path, -1, rmdir(path));
}

/* ---- reading and writing ---- */

static void test_reading_and_writing(void **state)
{
	char data[8] = "data";
	struct iovec parts[2] = {{data, 2}, {data + 2, 3}};
	int fd = open(file, O_RDWR | O_TRUNC);

	(void)state;
	expect("open", "openat", -1, file, -1, fd);
	expect("write", "write", fd, NULL, 5, write(fd, data, 5));
	expect("pwrite", "pwrite64", fd, NULL, 5, pwrite(fd, data, 5, 5));
	expect("pwrite64", "pwrite64", fd, NULL, 5, pwrite64(fd, data, 5, 10));
	expect("writev", "writev", fd, NULL, -1, writev(fd, parts, 2));
	expect("lseek", "lseek", fd, NULL, -1, lseek(fd, 0, SEEK_SET));
	expect("read", "read", fd, NULL, 8, read(fd, data, 8));
	expect("pread", "pread64", fd, NULL, 8, pread(fd, data, 8, 12));
	expect("pread64", "pread64", fd, NULL, 8, pread64(fd, data, 8, 100));
	expect("lseek64", "lseek", fd, NULL, -1, lseek64(fd, 0, SEEK_SET));
	expect("readv", "readv", fd, NULL, -1, readv(fd, parts, 2));
	assert_string_equal(data, "data");
	close_told(fd);
	expect("read", "read", fd, NULL, 8, read(fd, data, 8));
	expect("close", "close", -1, NULL, -1, close(-1));
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
	expect("eventfd", "eventfd2", -1, NULL, -1, first);
	second = dup(first);
	expect("dup", "dup", first, NULL, -1, second);
	expect("dup2", OLDER_OR("dup2", "dup3"), first, NULL, -1, dup2(first, second));
	expect("dup3", "dup3", first, NULL, -1, dup3(first, second, O_CLOEXEC));
	close_told(second);
	expect("fcntl", "fcntl", first, NULL, -1, fcntl(first, F_SETFL, O_NONBLOCK));
	flags = fcntl64(first, F_GETFL);
	expect("fcntl64", "fcntl", first, NULL, -1, flags);
	assert_true(flags & O_NONBLOCK);
	flags = 0;
	expect("ioctl", "ioctl", first, NULL, -1, ioctl(first, FIONBIO, &flags));
	close_told(first);
	expect("dup", "dup", first, NULL, -1, dup(first));
}

static void test_pipes_timers_and_epoll(void **state)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fds[2], epoll;

	(void)state;
	expect("pipe", "pipe2", -1, NULL, -1, pipe(fds));
	close_both(fds);
	expect("pipe2", "pipe2", -1, NULL, -1, pipe2(fds, O_CLOEXEC));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	expect("epoll_create1", "epoll_create1", -1, NULL, -1, epoll);
	expect("epoll_ctl", "epoll_ctl", epoll, NULL, -1,
		epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
	close_told(epoll);
	close_both(fds);
	epoll = epoll_create(1);
	expect("epoll_create", OLDER_OR("epoll_create", "epoll_create1"), -1, NULL, -1, epoll);
	close_told(epoll);
	epoll = timerfd_create(CLOCK_MONOTONIC, 0);
	expect("timerfd_create", "timerfd_create", -1, NULL, -1, epoll);
	close_told(epoll);
}

/* ---- sockets ---- */

static void test_connecting(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0), clients[2], accepted[2];

	(void)state;
	expect("socket", "socket", -1, NULL, -1, server);
	expect("bind", "bind", server, NULL, -1, bind(server, (void *)&address, bytes));
	expect("listen", "listen", server, NULL, -1, listen(server, 2));
	assert_int_equal(getsockname(server, (void *)&address, &bytes), 0);
	for (int i = 0; i < 2; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		expect("socket", "socket", -1, NULL, -1, clients[i]);
		expect("connect", "connect", clients[i], NULL, -1,
			connect(clients[i], (void *)&address, bytes));
	}
	accepted[0] = accept(server, NULL, NULL);
	expect("accept", "accept", server, NULL, -1, accepted[0]);
	accepted[1] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	expect("accept4", "accept4", server, NULL, -1, accepted[1]);
	close_both(accepted);
	close_both(clients);
	close_told(server);
	expect("accept4", "accept4", server, NULL, -1, accept4(server, NULL, NULL, 0));
}

static void test_sending_and_receiving(void **state)
{
	char data[4] = "abc";
	struct iovec part = {data, 4};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int fds[2];

	(void)state;
	expect("socketpair", "socketpair", -1, NULL, -1,
		socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
	expect("send", "sendto", fds[0], NULL, 4, send(fds[0], data, 4, 0));
	expect("sendto", "sendto", fds[0], NULL, 4, sendto(fds[0], data, 4, 0, NULL, 0));
	expect("sendmsg", "sendmsg", fds[0], NULL, -1, sendmsg(fds[0], &message, 0));
	expect("recv", "recvfrom", fds[1], NULL, 2, recv(fds[1], data, 2, 0));
	expect("recvfrom", "recvfrom", fds[1], NULL, 4, recvfrom(fds[1], data, 4, 0, NULL, NULL));
	expect("recvmsg", "recvmsg", fds[1], NULL, -1, recvmsg(fds[1], &message, 0));
	expect("recv", "recvfrom", fds[1], NULL, 4, recv(fds[1], data, 4, MSG_DONTWAIT));
	expect("shutdown", "shutdown", fds[0], NULL, -1, shutdown(fds[0], SHUT_WR));
	close_both(fds);
}

/* ---- memory and random numbers ---- */

static void test_memory(void **state)
{
	const size_t size = 1 << 16;
	char *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	expect("mmap", "mmap", -1, NULL, size, (intptr_t)at);
	expect("munmap", "munmap", -1, NULL, size, munmap(at, size));
	at = mmap64(NULL, size, PROT_READ, MAP_PRIVATE, -1, 0);
	expect("mmap64", "mmap", -1, NULL, size, -1);
	assert_ptr_equal(at, MAP_FAILED);
	at = sbrk(0);
	expect("sbrk", "brk", -1, NULL, 0, (intptr_t)at);
}

static void test_random_numbers(void **state)
{
	char data[257];

	(void)state;
	expect("getrandom", "getrandom", -1, NULL, 16, getrandom(data, 16, 0));
	expect("getentropy", "getrandom", -1, NULL, 8, getentropy(data, 8));
	expect("getentropy", "getrandom", -1, NULL, 257, getentropy(data, 257));
}

static void test_no_function_was_left_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < FUNCTION_COUNT; i++)
		if (!was_told[i])
			fail_msg("%s() is in syscalls.def, but in no test here", functions[i]);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_listening, end_listening)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_opening),
		TEST(test_opening_in_a_directory),
		TEST(test_a_name_is_told_as_it_was_made),
		TEST(test_streams),
		TEST(test_names),
		TEST(test_reading_and_writing),
		TEST(test_descriptors),
		TEST(test_pipes_timers_and_epoll),
		TEST(test_connecting),
		TEST(test_sending_and_receiving),
		TEST(test_memory),
		TEST(test_random_numbers),
		cmocka_unit_test(test_no_function_was_left_out),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
