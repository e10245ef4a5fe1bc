#include "served.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/handlers.h"
#include "app/step.h"
#include "test.h"

#define STOP_MS 1000
#define LOG_MAX_BYTES (1 << 20)

static void divert_log(struct served *served)
{
	served->stderr_fd = dup(STDERR_FILENO);
	/* O_APPEND: reading moves the offset that writing would use. */
	served->log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_true(served->stderr_fd >= 0 && served->log_fd >= 0);
	assert_int_equal(fcntl(served->log_fd, F_SETFL, O_APPEND), 0);
	assert_int_equal(dup2(served->log_fd, STDERR_FILENO), STDERR_FILENO);
}

void served_start(struct served *served, unsigned worker_count, unsigned queue_max)
{
	const struct http_server_config config = {"127.0.0.1:0", 2, "test"};
	const struct http_pool_config workers = {"worker", worker_count, queue_max, NULL};
	const struct http_pool_config switches = {"control", 1, 8, NULL};

	divert_log(served);
	assert_int_equal(http_server_create(&config, &served->server), 0);
	assert_int_equal(http_pool_create(&workers, &served->business), 0);
	assert_int_equal(http_pool_create(&switches, &served->control), 0);
	handlers_mount(served->server, served->business, served->control);
	assert_int_equal(http_server_start(served->server), 0);
}

int served_stop(struct served *served)
{
	int err = step_switch(0, false);

	http_server_stop(served->server, STOP_MS);
	http_pool_stop(served->business, STOP_MS);
	http_pool_stop(served->control, STOP_MS);
	dup2(served->stderr_fd, STDERR_FILENO);
	close(served->stderr_fd);
	close(served->log_fd);
	return err;
}

struct strbuf served_log(const struct served *served)
{
	struct strbuf log = STRBUF_INIT;
	int fd = dup(served->log_fd);

	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(strbuf_read_fd(&log, fd, LOG_MAX_BYTES), 0);
	close(fd);
	strbuf_puts(&log, "");
	return log;
}

int served_log_count(const struct served *served, const char *text)
{
	struct strbuf log = served_log(served);
	int count = 0;

	for (const char *at = log.data; (at = strstr(at, text)); at++)
		count++;
	strbuf_free(&log);
	return count;
}
