/* /metrics over real sockets: its numbers are the process's, also when that is ill. */
#include "../http/client.h"
#include "../support/plane.h"
#include "../support/read_metrics.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/nofile.h"
#include "debug/debug.h"
#include "debug/internal.h"
#include "diag/malloc_stats.h"

#define DEADLINE_NS (10 * CLOCK_NS_PER_SEC)

static struct http_server *server;
static struct http_pool *pool;

static struct strbuf get(const char *target)
{
	struct strbuf response = STRBUF_INIT;
	char request[128];
	int fd = client_connect(server);

	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", target);
	client_send(fd, request);
	assert_int_equal(strbuf_read_fd(&response, fd, 1 << 20), 0);
	close(fd);
	return response;
}

static struct strbuf scrape(void)
{
	struct strbuf response = get("/metrics"), body = STRBUF_INIT;
	const char *end_of_head = strstr(response.data, "\r\n\r\n");

	assert_memory_equal(response.data, "HTTP/1.1 200 ", 13);
	assert_non_null(strstr(
		response.data, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_non_null(end_of_head);
	strbuf_puts(&body, end_of_head + 4);
	strbuf_free(&response);
	return body;
}

/* Connections of earlier requests have been closed by both sides. */
static void settle(void)
{
	int64_t end_ns = clock_monotonic_ns() + DEADLINE_NS;

	while (http_connection_count() > 0) {
		assert_true(clock_monotonic_ns() < end_ns);
		poll(NULL, 0, 5);
	}
}

/* ---- */

/* Whatever bytes it is called by; a name of its own would be the collector's fault. */
static void collect(struct metrics_text *out)
{
	metrics_text_family(out, "test_collected", METRICS_GAUGE, "Collected.");
	metrics_text_sample(out, METRICS_LABELS({"by", "\"\\\n\xff"}), 7);
}

static void promtool_likes_it(void **state)
{
	struct strbuf text;

	(void)state;
	text = scrape(); /* the first answer counts none yet */
	check_metrics(&text);
	strbuf_free(&text);
	text = scrape();
	check_metrics(&text);
	assert_int_equal((int)read_metric(&text, "test_collected{by=\"\\\"\\\\\\n\ufffd\"}"), 7);
	assert_true(read_metric(&text,
			    "app_http_requests_total{route=\"/metrics\",status=\"2xx\"}") >= 1);
	strbuf_free(&text);
}

struct descriptors {
	double open, files, client, server;
};

static struct descriptors descriptors(void)
{
	struct strbuf text;
	struct descriptors seen;

	settle();
	text = scrape();
	seen = (struct descriptors){
		.open = read_metric(&text, "process_open_fds"),
		.files = read_metric(&text, "app_files_open"),
		.client = read_metric(&text, "app_http_connections_open{role=\"client\"}"),
		.server = read_metric(&text, "app_http_connections_open{role=\"server\"}"),
	};
	strbuf_free(&text);
	return seen;
}

/* CLIENT more: by connecting from here, whose other ends the server has. */
static void assert_grew(const struct descriptors *before, int open, int files, int client)
{
	struct descriptors now;

	now = descriptors();
	assert_int_equal((int)(now.open - before->open), open);
	assert_int_equal((int)(now.files - before->files), files);
	assert_int_equal((int)(now.client - before->client), client);
}

static void counts_what_is_open(void **state)
{
	struct descriptors before;
	int fds[4], pair[2];

	(void)state;
	before = descriptors();
	/* The test's own end of the scrape: this process is its client, too. */
	assert_int_equal((int)before.client, 1);
	assert_int_equal((int)before.server, 1);
	for (int i = 0; i < 3; i++)
		fds[i] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_grew(&before, 3, 3, 0);
	fds[3] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(pipe(pair), 0);
	assert_grew(&before, 6, 3, 0);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close(pair[0]);
	close(pair[1]);
	assert_grew(&before, 0, 0, 0);
}

static int listen_at(const struct sockaddr *address, socklen_t bytes)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, address, bytes), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int connect_to(int listener, int type)
{
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);
	int fd;

	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
	fd = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, bytes), 0);
	return fd;
}

/* Who connected counts: not who accepted, nor who speaks something else. */
static void a_client_is_who_connected_by_tcp(void **state)
{
	const struct sockaddr_in any = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_un here = {.sun_family = AF_UNIX, .sun_path = "\0sickbay-metrics"};
	struct descriptors before = descriptors();
	int tcp = listen_at((const struct sockaddr *)&any, sizeof(any));
	int local = listen_at((const struct sockaddr *)&here, sizeof(here));
	int connected = connect_to(tcp, SOCK_STREAM), accepted = accept(tcp, NULL, NULL);
	int others[] = {connect_to(local, SOCK_STREAM), connect_to(tcp, SOCK_DGRAM)};

	(void)state;
	assert_grew(&before, 6, 0, 1);
	close(accepted); /* the peer has gone: it is open all the same */
	assert_grew(&before, 5, 0, 1);
	close(connected);
	assert_grew(&before, 4, 0, 0);
	close(others[0]);
	close(others[1]);
	close(tcp);
	close(local);
}

static void agrees_with_the_process(void **state)
{
	struct timeval now;
	struct rusage used;
	struct strbuf text;
	double cpu_s;

	(void)state;
	text = scrape();
	assert_int_equal((int)read_metric(&text, "app_pid"), getpid());
	assert_int_equal((int)read_metric(&text, "app_threads"), (int)process_thread_count());
	assert_in_range((uint64_t)read_metric(&text, "process_virtual_memory_bytes"),
		(uint64_t)(process_memory().virtual_bytes - (64 << 20)),
		(uint64_t)(process_memory().virtual_bytes + (64 << 20)));
	assert_in_range((uint64_t)read_metric(&text, "process_resident_memory_bytes"),
		(uint64_t)(process_memory().resident_bytes - (8 << 20)),
		(uint64_t)(process_memory().resident_bytes + (8 << 20)));
	cpu_s = read_metric(&text, "process_cpu_seconds_total");
	assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
	assert_true(cpu_s > 0);
	assert_true(cpu_s <= (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
				     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	gettimeofday(&now, NULL);
	assert_true(read_metric(&text, "process_start_time_seconds") < (double)now.tv_sec + 1);
	assert_true(read_metric(&text, "process_start_time_seconds") > (double)now.tv_sec - 600);
#ifdef SICKBAY_SAN
	assert_null(strstr(text.data, "app_heap_"));
#else
	assert_true(read_metric(&text, "app_heap_allocated_bytes") > 0);
	assert_true(read_metric(&text, "app_heap_inuse_bytes") >=
		    read_metric(&text, "app_heap_allocated_bytes"));
	assert_true(strstr(text.data, "app_heap_free_bytes ") &&
		    strstr(text.data, "app_heap_released_bytes "));
#endif
	strbuf_free(&text);
}

static struct strbuf ask_again(int fd, struct client_response *response)
{
	client_send(fd, "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
	client_receive(fd, false, response);
	assert_int_equal(response->status, 200);
	return (struct strbuf){response->body, strlen(response->body), 0};
}

/* All descriptors but the client's are gone: the rest is headroom, which is not the limit. */
static void answers_without_descriptors(void **state)
{
	struct rlimit limit, low;
	int fd = client_connect(server), client, first_free;
	struct client_response response;
	struct strbuf text;

	(void)state;
	client_send(fd, "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
	client_receive(fd, false, &response);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	close(client);
	first_free = client;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)first_free;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(dup(0), -1);
	text = ask_again(fd, &response);
	assert_true(read_metric(&text, "process_open_fds") > 0);
	nofile_headroom_enter(); /* another's, at the same time */
	text = ask_again(fd, &response);
	nofile_headroom_leave();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal((int)read_metric(&text, "process_max_fds"), first_free);
	close(fd);
}

static void the_index_leads_to_it(void **state)
{
	struct strbuf index = get("/debug/pprof/");

	(void)state;
	assert_non_null(strstr(index.data, "<a href=\"/metrics\">/metrics</a>"));
	strbuf_free(&index);
}

static int set_up(void **state)
{
	(void)state;
	debug_init();
	server = plane_create(&pool);
	debug_metrics_add(collect);
	return http_server_start(server);
}

static int tear_down(void **state)
{
	(void)state;
	plane_stop(server, pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promtool_likes_it),
		cmocka_unit_test(counts_what_is_open),
		cmocka_unit_test(a_client_is_who_connected_by_tcp),
		cmocka_unit_test(agrees_with_the_process),
		cmocka_unit_test(answers_without_descriptors),
		cmocka_unit_test(the_index_leads_to_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
