/* The recorder's own program; docker/recorder/record runs it beside Perfetto. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "recorder/births.h"
#include "recorder/reencode.h"
#include "recorder/watch.h"

#define WATCH_PERIOD_MS 100

static const char usage[] =
	"usage: sickbay-recorder watch EVENT_PIDS TASKS CONTAINER...\n"
	"           tells the kernel, and file TASKS, the threads of the containers, the patient's\n"
	"           first; prints how many there are, and goes on looking until it is ended\n"
	"       sickbay-recorder merge TASKS KERNEL PATIENT >TRACE\n"
	"           makes one trace of the kernel's and the patient's own\n";

static int complain(const char *what, int err)
{
	fprintf(stderr, "recorder: %s: %s\n", what,
		err == -EBADMSG ? "it is cut off or damaged; record anew" : strerror(-err));
	return 1;
}

static int watch(const char *event_pids, const char *tasks, char *const *containers, int count)
{
	const struct timespec period = {.tv_nsec = WATCH_PERIOD_MS * 1000000};
	struct watch watch = {
		.proc = "/proc", .containers = containers, .container_count = (size_t)count};
	int found;

	watch.seen_in = xcalloc(TASK_TID_MAX, sizeof(*watch.seen_in));
	watch.event_pids_fd = open(event_pids, O_WRONLY | O_CLOEXEC);
	if (watch.event_pids_fd < 0)
		return complain(event_pids, -errno);
	watch.tasks_fd = open(tasks, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (watch.tasks_fd < 0)
		return complain(tasks, -errno);
	found = watch_pass(&watch);
	if (found >= 0) {
		printf("%d\n", found);
		fflush(stdout);
	}
	for (; found >= 0; found = watch_pass(&watch))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL);
	return complain("looking for the stack's threads", found);
}

static int write_merged(
	const struct packets *kernel, const struct packets *patient, const struct tasks *seen)
{
	struct tasks tasks = TASKS_INIT;
	struct reencode_span span;
	struct reencode_counts counts = {0};
	int err = births_find(kernel, seen, &tasks);

	if (!err)
		err = reencode_patient(&tasks, patient, stdout, &span);
	if (!err)
		err = reencode_kernel(&tasks, &span, kernel, stdout, &counts);
	if (!err && (fflush(stdout) != 0 || ferror(stdout)))
		err = -errno;
	if (!err)
		fprintf(stderr, "recorder: %zu events of the kernel, %zu threads of the stack\n",
			counts.event_count, tasks.count);
	if (!err && counts.has_lost)
		fputs("recorder: the kernel lost events, there were more than it could keep; with "
		      "less load on the patient it loses none\n",
			stderr);
	tasks_free(&tasks);
	return err;
}

static int merge(const char *tasks_path, const char *kernel_path, const char *patient_path)
{
	struct tasks seen = TASKS_INIT;
	struct packets kernel = PACKETS_INIT, patient = PACKETS_INIT;
	const char *at = tasks_path;
	int err = tasks_read(&seen, tasks_path);

	if (!err) {
		at = kernel_path;
		err = packets_open(&kernel, kernel_path);
	}
	if (!err) {
		at = patient_path;
		err = packets_open(&patient, patient_path);
	}
	if (!err) {
		at = "merging the traces";
		err = write_merged(&kernel, &patient, &seen);
	}
	packets_close(&patient);
	packets_close(&kernel);
	tasks_free(&seen);
	return err ? complain(at, err) : 0;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && strcmp(argv[1], "watch") == 0)
		return watch(argv[2], argv[3], argv + 4, argc - 4);
	if (argc == 5 && strcmp(argv[1], "merge") == 0)
		return merge(argv[2], argv[3], argv[4]);
	fputs(usage, stderr);
	return 2;
}
