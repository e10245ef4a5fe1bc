#include "probe/syscall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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

#include "common/clock.h"
#include "probe/fd_internal.h"
#include "probe/interpose.h"
#include "probe/thread_internal.h"

/* Of programs built with _FORTIFY_SOURCE; libc declares it for these alone. */
int __open_2(const char *path, int flags);

#define PATH_COPY_BYTES 512
#define PAGE_BYTES 4096 /* or a multiple of it: what matters is that no page ends within a part */

static _Atomic(const struct probe_syscall_listener *) current;
static __thread bool in_listener;

void probe_syscall_listen(const struct probe_syscall_listener *listener)
{
	atomic_store(&current, listener);
}

static bool is_wanted(const struct probe_syscall_listener *listener)
{
	int error = errno;
	bool answer;

	if (in_listener || thread_observes())
		return false;
	in_listener = true;
	answer = listener->is_wanted();
	in_listener = false;
	errno = error;
	return answer;
}

/* In the frame of the interposer. */
struct call_frame {
	const struct probe_syscall_listener *listener;
	struct probe_syscall seen;
};

/* What libc's functions return, as a number; -1 where they failed. */
static int64_t number_outcome(int64_t answer)
{
	return answer;
}

static int64_t address_outcome(const void *answer)
{
	return (intptr_t)answer; /* MAP_FAILED is -1 */
}

static int64_t path_outcome(const char *answer)
{
	return answer ? 0 : -1;
}

static int64_t file_outcome(FILE *answer)
{
	return answer ? fileno(answer) : -1;
}

static int64_t directory_outcome(DIR *answer)
{
	return answer ? dirfd(answer) : -1;
}

#define OUTCOME(answer) \
	_Generic((answer), FILE *: file_outcome, DIR *: directory_outcome, char *: path_outcome, \
		void *: address_outcome, default: number_outcome)(answer)

static void returned(struct call_frame *frame, int64_t outcome)
{
	frame->seen.end_ns = clock_monotonic_ns();
	frame->seen.result = outcome == -1 ? -errno : outcome;
}

/*
 * Copies PATH without trusting it: in two parts, since the kernel takes a part whole or not, and the
 * page after its end may not be there.
 */
static bool read_path(char to[PATH_COPY_BYTES], const char *path)
{
	size_t first_bytes = PAGE_BYTES - (uintptr_t)path % PAGE_BYTES;
	struct iovec here = {to, PATH_COPY_BYTES - 1}, there[2];
	ssize_t seen_bytes;

	if (first_bytes > here.iov_len)
		first_bytes = here.iov_len;
	there[0] = (struct iovec){(void *)path, first_bytes};
	there[1] = (struct iovec){(char *)path + first_bytes, here.iov_len - first_bytes};
	seen_bytes = process_vm_readv(getpid(), &here, 1, there, 2, 0);
	if (seen_bytes <= 0)
		return false;
	to[seen_bytes] = '\0';
	return true;
}

/* A cancelled thread leaves the interposer without returning to it: hence a cleanup. */
static void end_call(struct call_frame *frame)
{
	char path[PATH_COPY_BYTES];
	int error = errno;

	if (frame->seen.end_ns == 0)
		frame->seen.end_ns = clock_monotonic_ns();
	/* A call that failed may have done so before the kernel looked at its path. */
	if (frame->seen.path && frame->seen.result < 0)
		frame->seen.path = read_path(path, frame->seen.path) ? path : NULL;
	in_listener = true;
	frame->listener->on_end(&frame->seen);
	in_listener = false;
	errno = error;
}

/* ---- what changes descriptors: see fd_internal.h ---- */

/* Of a stream in memory -1. */
static int stream_fd(FILE *stream)
{
	int error = errno, fd = fileno(stream);

	errno = error;
	return fd;
}

static FILE *stream_closing(FILE *stream)
{
	fd_closing(stream_fd(stream));
	return stream;
}

/*
 * libc refuses to close none, and so must we; dirfd() would not survive it. closedir() is declared never to
 * be given one: inlined there, the question would be left out.
 */
static __attribute__((noipa)) int directory_fd(DIR *directory)
{
	return directory ? dirfd(directory) : -1;
}

static DIR *directory_closing(DIR *directory)
{
	fd_closing(directory_fd(directory));
	return directory;
}

static void both_opened(int answer, const int fds[2], enum probe_fd_kind kind, uintptr_t pc)
{
	for (int i = 0; i < 2 && answer == 0; i++)
		fd_opened(fds[i], kind, pc);
}

/* Of the call, in whoever calls the interposer. */
#define CALLER_PC ((uintptr_t)__builtin_return_address(0) - 1)
#define OPENS(kind) fd_opened((int)OUTCOME(answer), PROBE_FD_##kind, CALLER_PC)
#define OPENS_IF(condition, kind) fd_opened((condition) ? answer : -1, PROBE_FD_##kind, CALLER_PC)
#define OPENS_BOTH(fds, kind) both_opened(answer, fds, PROBE_FD_##kind, CALLER_PC)
#define COPIES_IF(condition, fd) fd_copied(fd, (condition) ? answer : -1, CALLER_PC)
#define BECOMES_IF(condition, fd, kind) fd_became((condition) ? (fd) : -1, PROBE_FD_##kind)

/* ---- the interposers ---- */

#define PROBE_SYSCALL(type, name, ...) INTERPOSED(name)
#define PROBE_SYSCALL_REST(type, name, ...) INTERPOSED(name)
#include "probe/syscalls.def"
#undef PROBE_SYSCALL
#undef PROBE_SYSCALL_REST
INTERPOSED(sbrk)
INTERPOSED(closefrom)

#define CALL(type, name, syscall, arguments, fd, path, size, ...)                         \
	static const struct probe_syscall_call call = {#name, syscall};                   \
	const struct probe_syscall_listener *listener = atomic_load_explicit(             \
		&current, memory_order_acquire);                                          \
	__typeof__(&name) next = INTERPOSE_NEXT(name);                                    \
	type answer;                                                                      \
                                                                                          \
	if (__builtin_expect(!listener, 1) || !is_wanted(listener)) {                     \
		answer = next arguments;                                                  \
		__VA_ARGS__;                                                              \
		return answer;                                                            \
	}                                                                                 \
	struct call_frame frame __attribute__((cleanup(end_call))) = {listener,           \
		{&call, clock_monotonic_ns(), 0, fd, path, (int64_t)(size), -ECANCELED}}; \
	answer = next arguments;                                                          \
	returned(&frame, OUTCOME(answer));                                                \
	__VA_ARGS__;                                                                      \
	return answer;

#define PROBE_SYSCALL(type, name, syscall, parameters, arguments, fd, path, size, ...) \
	type name parameters                                                           \
	{                                                                              \
		CALL(type, name, syscall, arguments, fd, path, size, __VA_ARGS__)      \
	}
/* As libc does: the argument that may be missing is taken and passed on in any case. */
#define PROBE_SYSCALL_REST(                                                               \
	type, name, syscall, parameters, last, rest_type, arguments, fd, path, size, ...) \
	type name parameters                                                              \
	{                                                                                 \
		va_list list;                                                             \
		rest_type rest;                                                           \
                                                                                          \
		va_start(list, last);                                                     \
		rest = va_arg(list, rest_type);                                           \
		va_end(list);                                                             \
		CALL(type, name, syscall, arguments, fd, path, size, __VA_ARGS__)         \
	}
#include "probe/syscalls.def"

/* By hand: libc answers for itself what there is, and asks the kernel only for more or less. */
void *sbrk(intptr_t size)
{
	if (size == 0)
		return INTERPOSE_NEXT(sbrk)(0);
	CALL(void *, sbrk, "brk", (size), -1, NULL, size, )
}

/* By hand: it returns nothing, so there is nothing to tell of. */
void closefrom(int first)
{
	INTERPOSE_NEXT(closefrom)(first);
	fd_closed_range(first > 0 ? (unsigned)first : 0, UINT_MAX);
}
