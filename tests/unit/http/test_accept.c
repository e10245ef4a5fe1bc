/* Accepting when descriptors run out. */
#include "client.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"

#define CONNECTIONS 50

static void hello(struct http_job *job)
{
	http_reply(job, 200, "text/plain", "hello", 5);
}

static const struct http_route routes[] = {{"/", HTTP_GET, hello, NULL}};

static void set_soft_limit(rlim_t soft)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = soft;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static rlim_t soft_limit(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	return limit.rlim_cur;
}

/* The lowest free descriptor: with the soft limit there, nobody gets another one. */
static int lowest_free_fd(void)
{
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

/* The client is a process of its own, so that only the server's limit counts. Returns its pid. */
static pid_t ask_from_outside(const struct http_server *server, rlim_t soft)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct client_response response;
		int fds[CONNECTIONS];

		set_soft_limit(soft);
		for (int i = 0; i < CONNECTIONS; i++)
			fds[i] = client_ask(server, "/");
		for (int i = 0; i < CONNECTIONS; i++) {
			client_receive(fds[i], false, &response);
			if (response.status != 200)
				_exit(1);
		}
		_exit(0);
	}
	return child;
}

static void expect_success(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void accepts_with_headroom(void **state)
{
	struct http_server *server = client_serve(routes, 1, 2);
	rlim_t before = soft_limit(), low;

	(void)state;
	/* Once with room, for what h2o opens on first use. */
	expect_success(ask_from_outside(server, before));
	low = lowest_free_fd() + 1;
	set_soft_limit(low);
	expect_success(ask_from_outside(server, before));
	assert_int_equal(soft_limit(), low);
	set_soft_limit(before);
	http_server_stop(server, 1000);
}

static int64_t process_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * CLOCK_NS_PER_SEC + used.tv_nsec;
}

/* In a child, because a hard limit cannot be raised again. */
static int rest_at_the_hard_limit(void)
{
	struct http_server *server = client_serve(routes, 1, 2);
	struct timespec pause = {0, 500 * CLOCK_NS_PER_MS};
	int open_fd = client_connect(server), waiting_fd;
	struct client_response response;
	struct rlimit limit;
	int64_t cpu_ns;

	client_send(open_fd, "GET / HTTP/1.1\r\n\r\n");
	client_receive(open_fd, false, &response);
	/*
	 * One more descriptor, which the client takes: its connection can only wait in the backlog.
	 */
	limit.rlim_cur = limit.rlim_max = lowest_free_fd() + 1;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	waiting_fd = client_ask(server, "/");
	cpu_ns = process_cpu_ns();
	nanosleep(&pause, NULL);
	cpu_ns = process_cpu_ns() - cpu_ns;
	if (cpu_ns > 20 * CLOCK_NS_PER_MS)
		return 2;
	/* What is open stays served; what waits is, once there is room. */
	client_send(open_fd, "GET / HTTP/1.1\r\n\r\n");
	client_receive(open_fd, false, &response);
	if (response.status != 200)
		return 3;
	close(open_fd);
	client_receive(waiting_fd, false, &response);
	return response.status == 200 ? 0 : 4;
}

static void rests_at_the_hard_limit(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(rest_at_the_hard_limit());
	expect_success(child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rests_at_the_hard_limit),
		cmocka_unit_test(accepts_with_headroom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
