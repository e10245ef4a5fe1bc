/*
 * The hottest code of the whole server: two lines a request. No stdio, no localtime() but once a
 * second.
 */
#include "common/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_PATIENCE_MS 50
_Static_assert(LOG_LINE_BYTES <= PIPE_BUF, "a line is one write, which a pipe takes whole");

#define TIMESTAMP_BYTES 20 /* "2018/07/12 15:03:44 " */
#define TEXT_MAX_BYTES (LOG_LINE_BYTES - TIMESTAMP_BYTES - 1)

struct timestamp {
	time_t second;
	char text[TIMESTAMP_BYTES];
};

static char *put_digits(char *at, int value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		at[i] = '0' + value % 10;
	return at + digits;
}

static void timestamp_format(struct timestamp *stamp, time_t second)
{
	struct tm local;
	char *at = stamp->text;

	localtime_r(&second, &local);
	at = put_digits(at, local.tm_year + 1900, 4);
	*at++ = '/';
	at = put_digits(at, local.tm_mon + 1, 2);
	*at++ = '/';
	at = put_digits(at, local.tm_mday, 2);
	*at++ = ' ';
	at = put_digits(at, local.tm_hour, 2);
	*at++ = ':';
	at = put_digits(at, local.tm_min, 2);
	*at++ = ':';
	at = put_digits(at, local.tm_sec, 2);
	*at = ' ';
	stamp->second = second;
}

static char *put_timestamp(char *line)
{
	static _Thread_local struct timestamp cached = {.second = -1};
	struct timespec now;

	/*
	 * The coarse clock costs no system call and no TSC read; a tick's error is nothing to a
	 * line of seconds.
	 */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != cached.second)
		timestamp_format(&cached, now.tv_sec);
	return mempcpy(line, cached.text, TIMESTAMP_BYTES);
}

/*
 * Guards stalled, and the room that may_write() saw until it is used: of two threads that see the
 * last of it, one would block in write(2).
 */
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static bool stalled;

/*
 * A reader that stalls (a terminal stopped with Ctrl-S, a full pipe) must not stop the server: it
 * is waited for once, shortly, and then its lines are lost until it reads again.
 */
static bool may_write(void)
{
	struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
	int ready = poll(&reader, 1, stalled ? 0 : LOG_PATIENCE_MS);

	while (ready < 0 && errno == EINTR) /* a profiler's signal: that was patience enough */
		ready = poll(&reader, 1, 0);
	if (ready < 0)
		return true; /* the write itself will tell */
	stalled = ready == 0;
	return ready > 0;
}

/* What a pipe that can be written to takes without blocking: whole lines, if they fit. */
static size_t piece_of(const char *data, size_t len_bytes)
{
	const char *newline;

	if (len_bytes <= PIPE_BUF)
		return len_bytes;
	newline = memrchr(data, '\n', PIPE_BUF);
	return newline ? (size_t)(newline + 1 - data) : PIPE_BUF;
}

/* Gives up on any error but EINTR. */
static void write_out(const char *data, size_t len_bytes)
{
	ssize_t written;

	pthread_mutex_lock(&write_lock);
	while (len_bytes && may_write()) {
		written = write(STDERR_FILENO, data, piece_of(data, len_bytes));
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		data += written;
		len_bytes -= (size_t)written;
	}
	pthread_mutex_unlock(&write_lock);
}

void log_puts(const char *text)
{
	char line[LOG_LINE_BYTES], *end;
	int saved_errno = errno;

	end = put_timestamp(line);
	end = mempcpy(end, text, strnlen(text, TEXT_MAX_BYTES));
	*end++ = '\n';
	write_out(line, end - line);
	errno = saved_errno;
}

void log_printf(const char *format, ...)
{
	char line[LOG_LINE_BYTES], *end;
	int saved_errno = errno, wanted;
	va_list arguments;

	end = put_timestamp(line);
	va_start(arguments, format);
	/*
	 * For its NUL it may use the place of our newline: hence one more than the text may have.
	 */
	wanted = vsnprintf(end, TEXT_MAX_BYTES + 1, format, arguments);
	va_end(arguments);
	if (wanted > 0)
		end += wanted < TEXT_MAX_BYTES ? wanted : TEXT_MAX_BYTES;
	*end++ = '\n';
	write_out(line, end - line);
	errno = saved_errno;
}

void log_block(const char *text, size_t len_bytes)
{
	int saved_errno = errno;

	write_out(text, len_bytes);
	errno = saved_errno;
}
