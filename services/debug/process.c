/* What /proc/self knows, read with headroom above the descriptor limit. */
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nofile.h"
#include "debug/internal.h"
#include "probe/fd.h"
#include "probe/task.h"

#define PROC_FILE_MAX_BYTES (1024 * 1024)

int64_t process_thread_count(void)
{
	return probe_task_count();
}

struct process_memory process_memory(void)
{
	struct process_memory memory = {-1, -1};
	int64_t page_bytes = sysconf(_SC_PAGESIZE), virtual_pages, resident_pages;
	struct strbuf statm = STRBUF_INIT;

	if (strbuf_read_file(&statm, "/proc/self/statm", PROC_FILE_MAX_BYTES) == 0 &&
		sscanf(statm.data, "%" SCNd64 " %" SCNd64, &virtual_pages, &resident_pages) == 2)
		memory = (struct process_memory){
			virtual_pages * page_bytes, resident_pages * page_bytes};
	strbuf_free(&statm);
	return memory;
}

/* ---- descriptors ---- */

static void count_fd(int fd, void *count)
{
	(void)fd;
	(*(int64_t *)count)++;
}

int64_t process_fd_count(void)
{
	int64_t count = 0;

	return nofile_for_each(count_fd, &count) == 0 ? count : -1;
}

/* Others come and go meanwhile: what is closed by now is neither. */
static bool is_file(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static bool is_client(int fd)
{
	struct probe_fd opened;
	int protocol = 0;
	socklen_t bytes = sizeof(protocol);

	return probe_fd_read(fd, &opened) && opened.kind == PROBE_FD_CONNECTION &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &bytes) == 0 &&
	       protocol == IPPROTO_TCP;
}

static void classify_fd(int fd, void *context)
{
	struct process_fds *fds = context;

	fds->open_count++;
	fds->file_count += is_file(fd);
	fds->client_count += is_client(fd);
}

int process_fds(struct process_fds *fds)
{
	*fds = (struct process_fds){0};
	return nofile_for_each(classify_fd, fds);
}

/* ---- time ---- */

static double start_time_s = -1;

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	return clock_gettime(clock, &now) == 0 ? now.tv_sec * CLOCK_NS_PER_SEC + now.tv_nsec : 0;
}

double process_cpu_s(void)
{
	return (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / CLOCK_NS_PER_SEC;
}

/* Field 22 of proc(5)'s stat: since the machine's boot, in ticks. Names may have blanks and ")". */
static void read_start_time(void)
{
	struct strbuf stat = STRBUF_INIT;
	const char *name_end;
	long long ticks;

	if (strbuf_read_file(&stat, "/proc/self/stat", PROC_FILE_MAX_BYTES) == 0 &&
		(name_end = strrchr(stat.data, ')')) &&
		sscanf(name_end,
			") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
			"%lld",
			&ticks) == 1)
		start_time_s = (double)(clock_realtime_ns() - clock_ns(CLOCK_BOOTTIME)) /
				       CLOCK_NS_PER_SEC +
			       (double)ticks / (double)sysconf(_SC_CLK_TCK);
	strbuf_free(&stat);
}

double process_start_time_s(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_start_time);
	return start_time_s;
}

int process_cmdline(struct strbuf *out)
{
	return strbuf_read_file(out, "/proc/self/cmdline", PROC_FILE_MAX_BYTES);
}
