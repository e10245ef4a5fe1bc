/* What is measured is what the kernel has: each thing that is opened here counts, and nothing else. */
#include "../support/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "leaks/measure.h"

#define SOME 7

static struct measure take(uint16_t server_port)
{
	struct measure now;

	assert_int_equal(measure_take(server_port, &now), 0);
	return now;
}

static void test_descriptors(void **state)
{
	const struct measure before = take(0);
	int fds[SOME];

	(void)state;
	for (int i = 0; i < SOME; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(take(0).fd_count, before.fd_count + SOME);
	for (int i = 0; i < SOME; i++)
		close(fds[i]);
	assert_int_equal(take(0).fd_count, before.fd_count);
}

static void test_descriptors_when_there_are_no_more(void **state)
{
	const struct measure before = take(0);
	struct rlimit limit, low;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = (struct rlimit){3, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
	assert_int_equal(take(0).fd_count, before.fd_count);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_connections_are_those_we_made(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t address_bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int called[SOME], accepted[SOME], pair[2], unconnected;
	uint16_t port;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, SOME), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
	port = ntohs(address.sin_port);
	assert_int_equal(take(port).connection_count, 0);
	for (int i = 0; i < SOME; i++) {
		called[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(
			connect(called[i], (struct sockaddr *)&address, sizeof(address)), 0);
		accepted[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(accepted[i] >= 0);
	}
	unconnected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(take(port).connection_count, SOME);
	assert_int_equal(take(0).connection_count, 2 * SOME);
	for (int i = 0; i < SOME; i++) {
		close(called[i]);
		close(accepted[i]);
	}
	close(unconnected);
	close(pair[0]);
	close(pair[1]);
	close(listener);
	assert_int_equal(take(0).connection_count, 0);
}

static void *wait_for(void *barrier)
{
	pthread_barrier_wait(barrier);
	return NULL;
}

static void test_threads(void **state)
{
	const struct measure before = take(0);
	pthread_t threads[SOME];
	pthread_barrier_t barrier;

	(void)state;
	pthread_barrier_init(&barrier, NULL, SOME + 1);
	for (int i = 0; i < SOME; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for, &barrier), 0);
	assert_int_equal(take(0).thread_count, before.thread_count + SOME);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < SOME; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
}

static void test_memory(void **state)
{
	const size_t size_bytes = 32 * 1024 * 1024;
	const struct measure before = take(0);
	char *memory = mmap(
		NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_in_range(take(0).rss_kib, 1, before.rss_kib + 1024);
	memset(memory, 1, size_bytes);
	assert_in_range(take(0).rss_kib, before.rss_kib + 31 * 1024, before.rss_kib + 34 * 1024);
	munmap(memory, size_bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_descriptors_when_there_are_no_more),
		cmocka_unit_test(test_connections_are_those_we_made),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
