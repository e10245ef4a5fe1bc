/*
 * recorder: the recorder of the kernel, where one stands for this stack: it records from its first word
 * until the patient's own trace has come to its end, and gives back one trace of both.
 *
 *     recorder_connect() -> recorder_start() -> recorder_write() ... -> recorder_merge()
 *         -> close(2)
 *
 * Shape:     a socket of the caller's. Closed at any time, or shut down by another thread, the recording is
 *            over and nothing stays of it.
 * Returns:   0 or -errno and a sentence; -ECONNABORTED where the recorder has ended.
 * Thread:    MT-Safe, a socket one thread at a time; blocks.
 * Source:    docker/recorder/record, what it says.
 */
#ifndef SICKBAY_DESK_RECORDER_H
#define SICKBAY_DESK_RECORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "desk/capture_store.h"

/* Whether there is one to connect to; PATH is its socket's. */
bool recorder_stands(const char *path);
int recorder_connect(const char *path, int *fd, struct capture_error *error)
	__attribute__((warn_unused_result));
/* Returns when the kernel is being recorded. */
int recorder_start(int fd, struct capture_error *error) __attribute__((warn_unused_result));
/* A part of the patient's trace. */
int recorder_write(int fd, const void *data, size_t len_bytes, struct capture_error *error)
	__attribute__((warn_unused_result));
/* The patient's trace is whole: the merged one goes into SINK. */
int recorder_merge(int fd, capture_sink *sink, void *context, struct capture_error *error)
	__attribute__((warn_unused_result));

#endif
