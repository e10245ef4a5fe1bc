/* The patient as a whole, in a process of its own: how it ends when it is told to. */
#include "../support/test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/health.h"

/* The program itself, under another name. */
int patient_main(int argc, char **argv);
#define main patient_main
#include "app/main.c"
#undef main

#define PATIENT "sickbay-app"
#define START_NS (10 * CLOCK_NS_PER_SEC)

struct patient {
	pid_t pid;
	struct sockaddr_in address;
	char listen[32];
};

static void choose_free_port(struct patient *patient)
{
	socklen_t len_bytes = sizeof(patient->address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	patient->address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)&patient->address, len_bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&patient->address, &len_bytes), 0);
	close(fd);
	snprintf(patient->listen, sizeof(patient->listen), "127.0.0.1:%u",
		ntohs(patient->address.sin_port));
}

static void start_patient(struct patient *patient)
{
	int64_t end_ns = clock_monotonic_ns() + START_NS;

	choose_free_port(patient);
	patient->pid = fork();
	if (patient->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("APP_LISTEN", patient->listen, 1);
		execl("/proc/self/exe", PATIENT, NULL);
		_exit(127);
	}
	assert_true(patient->pid > 0);
	while (health_check(patient->listen) != 0) {
		assert_true(clock_monotonic_ns() < end_ns);
		poll(NULL, 0, 10);
	}
}

/* Returns how long it took. */
static int64_t stop_patient(const struct patient *patient)
{
	int64_t start_ns = clock_monotonic_ns();
	int status;

	assert_int_equal(kill(patient->pid, SIGTERM), 0);
	assert_int_equal(waitpid(patient->pid, &status, 0), patient->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
	return clock_monotonic_ns() - start_ns;
}

static int ask(const struct patient *patient, const char *target)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
		connect(fd, (const struct sockaddr *)&patient->address, sizeof(patient->address)),
		0);
	dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	return fd;
}

static void test_ends_at_once_when_idle(void **state)
{
	struct patient patient;

	(void)state;
	start_patient(&patient);
	assert_true(stop_patient(&patient) < DRAIN_MS * CLOCK_NS_PER_MS);
}

/* Not even the drain is waited for: the profile could not be answered in it. */
static void test_does_not_wait_for_a_long_profile(void **state)
{
	struct pollfd clients[2];
	struct patient patient;
	char byte;

	(void)state;
	start_patient(&patient);
	/* Of two only one can run: when one is refused, the other does. */
	for (int i = 0; i < 2; i++)
		clients[i] = (struct pollfd){
			.fd = ask(&patient, "/debug/pprof/profile?seconds=300"), .events = POLLIN};
	assert_int_equal(poll(clients, 2, START_NS / CLOCK_NS_PER_MS), 1);
	assert_true(stop_patient(&patient) < DRAIN_MS * CLOCK_NS_PER_MS);
	for (int i = 0; i < 2; i++) {
		if (!clients[i].revents)
			assert_int_equal(read(clients[i].fd, &byte, 1), 0);
		close(clients[i].fd);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends_at_once_when_idle),
		cmocka_unit_test(test_does_not_wait_for_a_long_profile),
	};

	if (strcmp(argv[0], PATIENT) == 0)
		return patient_main(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
