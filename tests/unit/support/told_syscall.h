/*
 * told_syscall: a listener to the program's system calls that keeps what it is told, and the tests of
 * one call at a time: who makes a call expects it at once.
 *
 * Thread:    one thread calls.
 */
#ifndef SICKBAY_TESTS_TOLD_SYSCALL_H
#define SICKBAY_TESTS_TOLD_SYSCALL_H

#include <stdint.h>

/* A test's setup and teardown. */
int told_syscall_begin(void **state);
int told_syscall_end(void **state);

/*
 * One call was told since the last, and it was this. PATH NULL: none; RESULT as it was returned, with
 * errno as it was left.
 */
void told_syscall_expect(const char *function, const char *syscall, int fd, const char *path,
	int64_t size_bytes, int64_t result);
/* The same for a call that takes a descriptor at most. */
void told_syscall_expect_fd(const char *function, const char *syscall, int fd, int64_t result);
void told_syscall_expect_none(void);

/* Every function of syscalls.def was expected once. */
void told_syscall_assert_all(void);

#endif
