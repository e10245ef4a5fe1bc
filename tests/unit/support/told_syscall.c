#include "told_syscall.h"

#include "test.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "probe/syscall.h"

static const char *const functions[] = {
#define PROBE_SYSCALL(type, name, ...) #name,
#define PROBE_SYSCALL_REST(type, name, ...) #name,
#include "probe/syscalls.def"
#undef PROBE_SYSCALL
#undef PROBE_SYSCALL_REST
};
#define FUNCTION_COUNT (sizeof(functions) / sizeof(functions[0]))

/* Of those since the last that was expected, the first. */
static struct probe_syscall told;
static char told_path[PATH_MAX];
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
	dup(-1);
	if (atomic_fetch_add(&told_count, 1) == 0) {
		told = *call;
		snprintf(told_path, sizeof(told_path), "%s", call->path ? call->path : "none");
	}
	errno = EXDEV;
}

static const struct probe_syscall_listener listener = {is_wanted, on_end};

int told_syscall_begin(void **state)
{
	(void)state;
	atomic_store(&told_count, 0);
	probe_syscall_listen(&listener);
	return 0;
}

int told_syscall_end(void **state)
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

void told_syscall_expect(const char *function, const char *syscall, int fd, const char *path,
	int64_t size_bytes, int64_t result)
{
	int error = errno;

	assert_int_equal(atomic_load(&told_count), 1);
	assert_string_equal(told.call->function, function);
	assert_string_equal(told.call->syscall, syscall);
	assert_int_equal(told.fd, fd);
	assert_string_equal(told_path, path ? path : "none");
	assert_int_equal(told.size_bytes, size_bytes);
	assert_int_equal(told.result, result == -1 ? -error : result);
	assert_in_range(told.begin_ns, 1, told.end_ns);
	assert_in_range(told.end_ns, told.begin_ns, clock_monotonic_ns());
	note_function(function);
	atomic_store(&told_count, 0);
}

void told_syscall_expect_fd(const char *function, const char *syscall, int fd, int64_t result)
{
	told_syscall_expect(function, syscall, fd, NULL, -1, result);
}

void told_syscall_expect_none(void)
{
	assert_int_equal(atomic_load(&told_count), 0);
}

void told_syscall_assert_all(void)
{
	for (size_t i = 0; i < FUNCTION_COUNT; i++)
		if (!was_told[i])
			fail_msg("%s() is in syscalls.def, but no test calls it", functions[i]);
}
