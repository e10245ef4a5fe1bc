#include "desk/recorder.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 60 /* between two of its words: to merge large traces takes time */
#define LINE_BYTES 256
#define PIECE_BYTES (16 * 1024)
#define PREFIX "recorder: "
#define RECORDS PREFIX "recording"
#define HAS_MERGED PREFIX "the trace has " /* "1234 bytes" */
#define NO_LINE "\n"

bool recorder_stands(const char *path)
{
	return access(path, R_OK | W_OK) == 0;
}

static int connect_to(const char *path, int fd)
{
	static const struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
		connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	return 0;
}

int recorder_connect(const char *path, int *result, struct capture_error *error)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 ? -errno : connect_to(path, fd);

	if (!err) {
		*result = fd;
		return 0;
	}
	snprintf(error->text, sizeof(error->text),
		"The recorder of the kernel does not answer (%s). Start it: "
		"COMPOSE_PROFILES=kernel-trace make up",
		strerror(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

/* ---- what it says ---- */

static ssize_t receive(int fd, void *data, size_t size_bytes)
{
	ssize_t len_bytes;

	do
		len_bytes = recv(fd, data, size_bytes, 0);
	while (len_bytes < 0 && errno == EINTR);
	if (len_bytes == 0)
		return -ECONNABORTED;
	if (len_bytes < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return len_bytes;
}

/*
 * Byte by byte: what follows the last line is the trace. What is too long is cut; where nothing comes any
 * more, LINE stays as it is.
 */
static int read_line(int fd, char line[LINE_BYTES])
{
	size_t len_bytes = 0;
	char byte;
	ssize_t got;

	while ((got = receive(fd, &byte, 1)) > 0 && byte != '\n') {
		if (len_bytes + 1 == LINE_BYTES)
			continue;
		line[len_bytes++] = byte;
		line[len_bytes] = '\0';
	}
	if (got > 0 && len_bytes == 0)
		line[0] = '\0';
	return got > 0 ? 0 : (int)got;
}

/* Until LINE begins with WORDS. Its last line tells why it ended. */
static int await_line(int fd, const char *words, char line[LINE_BYTES], struct capture_error *error)
{
	const char *why = line;
	int err;

	line[0] = '\0';
	while ((err = read_line(fd, line)) == 0)
		if (strncmp(line, words, strlen(words)) == 0)
			return 0;
	if (strncmp(why, PREFIX, strlen(PREFIX)) == 0)
		why += strlen(PREFIX);
	snprintf(error->text, sizeof(error->text), "The kernel is not recorded: %s.",
		*why                   ? why
		: err == -ECONNABORTED ? "its recorder has ended"
				       : strerror(-err));
	return err;
}

/* ---- a recording ---- */

int recorder_start(int fd, struct capture_error *error)
{
	char line[LINE_BYTES];

	return await_line(fd, RECORDS, line, error);
}

int recorder_write(int fd, const void *data, size_t len_bytes, struct capture_error *error)
{
	const char *at = data;

	while (len_bytes > 0) {
		ssize_t sent = send(fd, at, len_bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			/* It has ended, and has said why. */
			char line[LINE_BYTES];

			return await_line(fd, NO_LINE, line, error);
		}
		at += sent;
		len_bytes -= (size_t)sent;
	}
	return 0;
}

/* Where it ends too soon, a part is not taken for all of it. */
static int pass_on(
	int fd, uint64_t left_bytes, capture_sink *sink, void *context, struct capture_error *error)
{
	char piece[PIECE_BYTES];
	int err = 0;

	do {
		ssize_t len_bytes = receive(
			fd, piece, left_bytes < PIECE_BYTES ? (size_t)left_bytes : PIECE_BYTES);

		if (len_bytes < 0) {
			snprintf(error->text, sizeof(error->text),
				"The recorder ended before all of its trace had come (%s): "
				"nothing was kept.",
				strerror((int)-len_bytes));
			return (int)len_bytes;
		}
		err = sink(context, piece, (size_t)len_bytes, error);
		left_bytes -= (uint64_t)len_bytes;
	} while (!err && left_bytes > 0);
	return err;
}

int recorder_merge(int fd, capture_sink *sink, void *context, struct capture_error *error)
{
	char line[LINE_BYTES];
	int err;

	shutdown(fd, SHUT_WR);
	err = await_line(fd, HAS_MERGED, line, error);
	if (err)
		return err;
	return pass_on(fd, strtoull(line + strlen(HAS_MERGED), NULL, 10), sink, context, error);
}
