/* A trace with the kernel's side by button, of stand-ins for the patient and for the recorder. */
#include "capture_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "desk/capture_taker.h"

#define MERGED "kernel and "

static char directory[] = "/tmp/sickbay-kernel-XXXXXX";
static const struct capture_store store = {directory, 1 << 20};
static char patient_url[64];
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct http_server *patient, *server;
static struct http_pool *pool;
static sem_t asked, left, over;

/* ---- the stand-ins ---- */

static void on_patient_left(struct http_job *job)
{
	(void)job;
	sem_post(&left);
}

/* Of one second it is there; any other takes for ever. */
static void on_trace(struct http_job *job)
{
	sem_post(&asked);
	if (strcmp(http_query(job), "seconds=1") == 0) {
		http_reply(job, 200, "application/octet-stream", "patient", 7);
		return;
	}
	http_on_leave(job, on_patient_left);
	if (http_stream_begin(job, 200, "application/octet-stream"))
		http_stream_rest(job);
}

static struct {
	pthread_t thread;
	int fd;
	const char *first_words; /* "" for none */
} recorder;

/* One recording: until what it reads has ended. */
static void record(int fd)
{
	char own[64], said[64];
	ssize_t len_bytes = 0, got;

	/* Who has cancelled already is not there to hear it. */
	send(fd, recorder.first_words, strlen(recorder.first_words), MSG_NOSIGNAL);
	if (strcmp(recorder.first_words, "recorder: no tracefs\n") == 0)
		return;
	while ((got = read(fd, own + len_bytes, sizeof(own) - (size_t)len_bytes)) > 0)
		len_bytes += got;
	snprintf(said, sizeof(said), "recorder: the trace has %zd bytes\n" MERGED,
		(ssize_t)strlen(MERGED) + len_bytes);
	send(fd, said, strlen(said), MSG_NOSIGNAL);
	send(fd, own, (size_t)len_bytes, MSG_NOSIGNAL);
}

static void *stand(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = accept(recorder.fd, NULL, NULL)) >= 0) {
		record(fd);
		close(fd);
		sem_post(&over);
	}
	return NULL;
}

static void stand_up(const char *first_words)
{
	recorder.first_words = first_words;
	recorder.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(recorder.fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(recorder.fd, 4), 0);
	assert_int_equal(pthread_create(&recorder.thread, NULL, stand, NULL), 0);
}

static int stand_down(void **state)
{
	(void)state;
	if (recorder.fd < 0)
		return 0;
	shutdown(recorder.fd, SHUT_RDWR);
	pthread_join(recorder.thread, NULL);
	close(recorder.fd);
	recorder.fd = -1;
	return unlink(address.sun_path);
}

/* ---- both servers ---- */

static int start(void **state)
{
	static const struct http_route routes[] = {
		{"/debug/pprof/trace", HTTP_GET, on_trace, NULL},
	};

	(void)state;
	recorder.fd = -1;
	sem_init(&asked, 0, 0);
	sem_init(&left, 0, 0);
	sem_init(&over, 0, 0);
	assert_non_null(mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/.socket", directory);
	patient = client_serve(routes, 1, 1);
	snprintf(
		patient_url, sizeof(patient_url), "http://127.0.0.1:%u", http_server_port(patient));
	server = capture_desk_start(&store, patient_url, address.sun_path, &pool);
	return 0;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	capture_desk_stop(server, pool);
	http_server_stop(patient, 1000);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

/* ---- what is expected ---- */

static unsigned take(const char *fields)
{
	struct client_response response = events_post(server, "/capture/take", fields);
	unsigned id;

	if (sscanf(response.body, "{\"id\":%u", &id) != 1)
		fail_msg("%s: %s", fields, response.body);
	return id;
}

static void expect_cancelled(struct events *page, unsigned id)
{
	char fields[32];

	snprintf(fields, sizeof(fields), "id=%u", id);
	expect_post(server, "/capture/cancel", fields, 200, "Done.");
	client_await(&over);
	expect_in(events_await(page, "taken", "kernel-60s"),
		"\"kept\":false,\"why\":\"It was cancelled.\"");
}

/* ---- tests ---- */

static void is_offered_where_a_recorder_stands(void **state)
{
	struct client_response response;

	(void)state;
	client_get(server, "/capture/kinds", &response);
	expect_in(response.body, "\"kind\":\"trace\"");
	assert_null(strstr(response.body, "\"kind\":\"kernel\""));
	expect_post(server, "/capture/take", "kind=kernel", 404,
		"COMPOSE_PROFILES=kernel-trace make up");
	stand_up("");
	client_get(server, "/capture/kinds", &response);
	expect_in(response.body, "\"kind\":\"kernel\"");
}

static void goes_by_way_of_the_recorder(void **state)
{
	struct events page = events_open(server);
	char name[CAPTURE_NAME_BYTES], path[256], text[64] = "";
	int fd;

	(void)state;
	stand_up("recorder: recording\n");
	take("kind=kernel&seconds=1");
	assert_int_equal(sscanf(events_await(&page, "captures", "\"kind\":\"kernel\""),
				 "{\"captures\":[{\"name\":\"%127[^\"]", name),
		1);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, MERGED "patient");
	close(fd);
	assert_int_equal(unlink(path), 0);
	client_await(&asked);
	events_close(&page);
}

static void a_recorder_that_cannot_says_why(void **state)
{
	struct events page = events_open(server);

	(void)state;
	stand_up("recorder: no tracefs\n");
	take("kind=kernel&seconds=1");
	expect_in(events_await(&page, "taken", "kernel-1s"),
		"\"kept\":false,\"why\":\"The kernel is not recorded: no tracefs.");
	assert_int_equal(sem_trywait(&asked), -1); /* the patient was left in peace */
	events_close(&page);
}

static void cancelled_it_is_over_everywhere(void **state)
{
	struct events page = events_open(server);
	unsigned id;

	(void)state;
	stand_up("recorder: recording\n");
	id = take("kind=kernel&seconds=60");
	client_await(&asked);
	expect_post(server, "/capture/take", "kind=kernel", 409,
		"The kernel is being recorded already");
	expect_cancelled(&page, id);
	client_await(&left);
	events_close(&page);
}

static void cancelled_while_the_recorder_starts_it_is_over(void **state)
{
	struct events page = events_open(server);

	(void)state;
	stand_up("");
	expect_cancelled(&page, take("kind=kernel&seconds=60"));
	assert_int_equal(sem_trywait(&asked), -1);
	events_close(&page);
}

#define TEST(name) cmocka_unit_test_teardown(name, stand_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_offered_where_a_recorder_stands),
		TEST(goes_by_way_of_the_recorder),
		TEST(a_recorder_that_cannot_says_why),
		TEST(cancelled_it_is_over_everywhere),
		TEST(cancelled_while_the_recorder_starts_it_is_over),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
