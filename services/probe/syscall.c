#include "probe/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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

#define OUTCOME(answer) \
	_Generic((answer), FILE *: file_outcome, char *: path_outcome, void *: address_outcome, \
		default: number_outcome)(answer)

static void returned(struct call_frame *frame, int64_t outcome)
{
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

	frame->seen.end_ns = clock_monotonic_ns();
	/* A call that failed may have done so before the kernel looked at its path. */
	if (frame->seen.path && frame->seen.result < 0)
		frame->seen.path = read_path(path, frame->seen.path) ? path : NULL;
	in_listener = true;
	frame->listener->on_end(&frame->seen);
	in_listener = false;
	errno = error;
}

#define PROBE_SYSCALL(type, name, syscall, parameters, arguments, fd, path, size) INTERPOSED(name)
#define PROBE_SYSCALL_REST(type, name, syscall, parameters, last, rest_type, ...) INTERPOSED(name)
#include "probe/syscalls.def"
#undef PROBE_SYSCALL
#undef PROBE_SYSCALL_REST
INTERPOSED(sbrk)

#define CALL(type, name, syscall, arguments, fd, path, size)                              \
	static const struct probe_syscall_call call = {#name, syscall};                   \
	const struct probe_syscall_listener *listener = atomic_load_explicit(             \
		&current, memory_order_acquire);                                          \
	__typeof__(&name) next = INTERPOSE_NEXT(name);                                    \
                                                                                          \
	if (__builtin_expect(!listener, 1) || !is_wanted(listener))                       \
		return next arguments;                                                    \
	struct call_frame frame __attribute__((cleanup(end_call))) = {listener,           \
		{&call, clock_monotonic_ns(), 0, fd, path, (int64_t)(size), -ECANCELED}}; \
	type answer = next arguments;                                                     \
	returned(&frame, OUTCOME(answer));                                                \
	return answer;

#define PROBE_SYSCALL(type, name, syscall, parameters, arguments, fd, path, size) \
	type name parameters                                                      \
	{                                                                         \
		CALL(type, name, syscall, arguments, fd, path, size)              \
	}
/* As libc does: the argument that may be missing is taken and passed on in any case. */
#define PROBE_SYSCALL_REST(                                                          \
	type, name, syscall, parameters, last, rest_type, arguments, fd, path, size) \
	type name parameters                                                         \
	{                                                                            \
		va_list list;                                                        \
		rest_type rest;                                                      \
                                                                                     \
		va_start(list, last);                                                \
		rest = va_arg(list, rest_type);                                      \
		va_end(list);                                                        \
		CALL(type, name, syscall, arguments, fd, path, size)                 \
	}
#include "probe/syscalls.def"

/* By hand: libc answers for itself what there is, and asks the kernel only for more or less. */
void *sbrk(intptr_t size)
{
	if (size == 0)
		return INTERPOSE_NEXT(sbrk)(0);
	CALL(void *, sbrk, "brk", (size), -1, NULL, size)
}
