/* Captures by button, over real sockets, of a stand-in for the patient. */
#include "capture_desk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "desk/capture_taker.h"

#define SEEN_WITHIN_NS (2 * CLOCK_NS_PER_SEC)

static char directory[] = "/tmp/sickbay-routes-XXXXXX";
static const struct capture_store store = {directory, 1 << 20};
static char patient_url[64];
static struct http_server *patient, *server;
static struct http_pool *pool;
static sem_t asked, left;

/* ---- the stand-in ---- */

static void on_heap(struct http_job *job)
{
	assert_string_equal(http_query(job), "");
	http_reply(job, 200, "application/octet-stream", "all of it", 9);
}

static void on_threads(struct http_job *job)
{
	assert_string_equal(http_query(job), "seconds=3");
	http_reply(job, 200, "application/octet-stream", "window", 6);
}

/* As a patient that crashes. */
static void on_fd(struct http_job *job)
{
	if (http_stream_begin(job, 200, "application/octet-stream"))
		assert_int_equal(http_stream_write(job, "half", 4), 0);
	http_after(job, 50, http_abort);
}

static void on_mutex(struct http_job *job)
{
	http_reply_text(job, 500, "Could not enable it: it is in use.");
}

/* Three bytes a second. */
static void drip(struct http_job *job)
{
	assert_int_equal(http_stream_write(job, "abc", 3), 0);
	http_after(job, 1000, drip);
}

static void on_wall(struct http_job *job)
{
	if (http_stream_begin(job, 200, "application/octet-stream"))
		drip(job);
}

static void on_patient_left(struct http_job *job)
{
	(void)job;
	sem_post(&left);
}

static void on_profile(struct http_job *job)
{
	http_on_leave(job, on_patient_left);
	if (http_stream_begin(job, 200, "application/octet-stream"))
		http_stream_rest(job);
	sem_post(&asked);
}

/* ---- both servers ---- */

static int empty(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/* %s/.desk-*", directory, directory);
	return system(command);
}

static int start_patient(void)
{
	static const struct http_route routes[] = {
		{"/debug/pprof/heap", HTTP_GET, on_heap, NULL},
		{"/debug/pprof/threads", HTTP_GET, on_threads, NULL},
		{"/debug/pprof/fd", HTTP_GET, on_fd, NULL},
		{"/debug/pprof/mutex", HTTP_GET, on_mutex, NULL},
		{"/debug/pprof/profile", HTTP_GET, on_profile, NULL},
		{"/debug/pprof/wall", HTTP_GET, on_wall, NULL},
	};

	patient = client_serve(routes, sizeof(routes) / sizeof(routes[0]), 1);
	snprintf(
		patient_url, sizeof(patient_url), "http://127.0.0.1:%u", http_server_port(patient));
	return 0;
}

static int start(void **state)
{

	(void)state;
	sem_init(&asked, 0, 0);
	sem_init(&left, 0, 0);
	assert_non_null(mkdtemp(directory));
	assert_int_equal(start_patient(), 0);
	server = capture_desk_start(&store, patient_url, "", &pool);
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

static void write_file(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
}

/* Hidden ones too. */
static size_t count_files(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(dir)))
		count += entry->d_type == DT_REG;
	closedir(dir);
	return count;
}

/* ---- tests ---- */

static void takes_a_capture(void **state)
{
	struct events page = events_open(server);
	const char *end;

	(void)state;
	expect_post(
		server, "/capture/take", "kind=heap&name=before", 202, "\"name\":\"before-heap-20");
	end = events_await(&page, "taken", "before-heap-20");
	expect_in(end, "\"kept\":true,\"why\":\"\"");
	events_await(&page, "mark", "\"text\":\"heap\"");
	events_await(&page, "captures",
		"\"label\":\"before\",\"viewer\":\"pprof\",\"seconds\":0,\"kind\":\"heap\",\"step\":null,"
		"\"variant\":null,\"size_bytes\":9,");
	assert_int_equal(count_files(), 1);
	events_close(&page);
}

static void asks_for_the_window(void **state)
{
	struct events page = events_open(server);

	(void)state;
	expect_post(server, "/capture/take", "kind=threads&seconds=3", 202, "threads-3s-20");
	expect_in(events_await(&page, "taken", "threads-3s"), "\"kept\":true");
	events_close(&page);
}

static void keeps_nothing_of_a_patient_that_dies(void **state)
{
	struct events page = events_open(server);

	(void)state;
	expect_post(server, "/capture/take", "kind=fd", 202, "fd-20");
	expect_in(events_await(&page, "taken", "fd-20"),
		"\"kept\":false,\"why\":\"The patient did not finish it (");
	assert_int_equal(count_files(), 0);
	events_close(&page);
}

static void passes_on_why_the_patient_refuses(void **state)
{
	struct events page = events_open(server);

	(void)state;
	expect_post(server, "/capture/take", "kind=mutex", 202, "mutex-20");
	expect_in(events_await(&page, "taken", "mutex-20"),
		"\"why\":\"The patient answered 500: Could not enable it: it is in use.\"");
	expect_post(server, "/capture/take", "kind=block", 202, "block-20");
	expect_in(events_await(&page, "taken", "block-20"), "The patient answered 404: ");
	assert_int_equal(count_files(), 0);
	events_close(&page);
}

static void cancels_in_the_patient_too(void **state)
{
	struct events page = events_open(server);
	char fields[32];
	unsigned id;

	(void)state;
	expect_post(server, "/capture/take", "kind=cpu&seconds=300", 202, "cpu-300s-20");
	client_await(&asked);
	assert_int_equal(
		sscanf(events_await(&page, "taking", "cpu-300s"), "{\"takings\":[{\"id\":%u,", &id),
		1);
	snprintf(fields, sizeof(fields), "id=%u", id);
	expect_post(server, "/capture/cancel", fields, 200, "Done.");
	client_await(&left);
	expect_in(events_await(&page, "taken", "cpu-300s"), "\"why\":\"It was cancelled.\"");
	events_await(&page, "taking", "{\"takings\":[],");
	expect_post(server, "/capture/cancel", fields, 404, "not under way any more");
	assert_int_equal(count_files(), 0);
	events_close(&page);
}

static void shows_how_far_it_is(void **state)
{
	struct events page = events_open(server);
	int percent = 0, last = 0;
	const char *taking;

	(void)state;
	expect_post(server, "/capture/take", "kind=cpu&seconds=1", 202, "cpu-1s-20");
	while (last < 100) {
		taking = events_await(&page, "taking", "\"percent\":");
		assert_int_equal(sscanf(strstr(taking, "percent"), "percent\":%d", &percent), 1);
		assert_in_range(percent, last, 100);
		last = percent;
	}
	client_await(&asked);
	expect_in(taking, "\"kind\":\"cpu\",\"seconds\":1,");
	assert_int_equal(sscanf(taking, "{\"takings\":[{\"id\":%d,", &percent), 1);
	assert_int_equal(capture_taker_cancel((unsigned)percent), 0);
	client_await(&left);
	events_await(&page, "taken", "cpu-1s");
	events_close(&page);
}

static void takes_four_at_most(void **state)
{
	struct events page = events_open(server);
	unsigned ids[CAPTURE_TAKINGS_MAX];
	char fields[64];

	(void)state;
	for (int i = 0; i < CAPTURE_TAKINGS_MAX; i++) {
		struct client_response response;

		snprintf(fields, sizeof(fields), "kind=cpu&seconds=60&name=n%d", i);
		response = events_post(server, "/capture/take", fields);
		assert_int_equal(sscanf(response.body, "{\"id\":%u", &ids[i]), 1);
	}
	expect_post(
		server, "/capture/take", "kind=heap", 409, "4 captures are being taken already");
	for (int i = 0; i < CAPTURE_TAKINGS_MAX; i++) {
		assert_int_equal(capture_taker_cancel(ids[i]), 0);
		events_await(&page, "taken", "cpu-60s");
	}
	events_close(&page);
	while (sem_trywait(&asked) == 0)
		client_await(&left);
}

static void refuses_what_makes_no_sense(void **state)
{
	static const struct {
		const char *target, *fields;
		int status;
		const char *part;
	} cases[] = {
		{"/capture/take", "", 400, "'kind' must be cpu, heap"},
		{"/capture/take", "kind=../heap", 400, "'kind' must be"},
		{"/capture/take", "kind=cpu&seconds=0", 400, "from 1 to 300"},
		{"/capture/take", "kind=heap&seconds=301", 400, "from 0 to 300"},
		{"/capture/take", "kind=heap&seconds=x", 400, "from 0 to 300"},
		{"/capture/take", "kind=heap&name=../x", 400, "letters, digits"},
		{"/capture/take", "kind=heap&name=%00", 400, "letters, digits"},
		{"/capture/cancel", "", 400, "'id' must be"},
		{"/capture/cancel", "id=0", 400, "'id' must be"},
		{"/capture/cancel", "id=4000000000", 404, "not under way"},
		{"/capture/delete", "", 400, "'name' must be"},
		{"/capture/delete", "name=missing.pb.gz", 404, "There is no capture missing.pb.gz"},
		{"/capture/delete", "name=..%2f..%2fetc%2fpasswd", 404, "There is no capture"},
		{"/capture/delete", "name=.gitkeep", 404, "There is no capture"},
		{"/capture/rename", "name=a", 400, "'to' must be"},
		{"/capture/rename", "name=missing.pb.gz&to=b", 404, "There is no capture"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_post(
			server, cases[i].target, cases[i].fields, cases[i].status, cases[i].part);
	assert_int_equal(count_files(), 0);
}

static void renames_and_deletes(void **state)
{
	struct events page = events_open(server);

	(void)state;
	write_file("a.pb.gz");
	write_file("c.pb.gz");
	expect_post(server, "/capture/rename", "name=a.pb.gz&to=c", 409, "already");
	expect_post(server, "/capture/rename", "name=a.pb.gz&to=step3-heap", 200, "Done.");
	events_await(&page, "captures", "\"name\":\"step3-heap.pb.gz\"");
	expect_post(server, "/capture/rename", "name=step3-heap.pb.gz&to=before", 200, "Done.");
	events_await(&page, "captures", "\"kind\":\"heap\",\"step\":3,\"variant\":\"leaky\"");
	expect_post(server, "/capture/delete", "name=before-step3-heap.pb.gz", 200, "Done.");
	expect_post(server, "/capture/delete", "name=c.pb.gz", 200, "Done.");
	events_await(&page, "captures", "{\"captures\":[],");
	events_close(&page);
}

static void shows_what_others_put_there(void **state)
{
	struct events page = events_open(server);
	int64_t begun_ns;

	(void)state;
	events_await(&page, "captures", "");
	begun_ns = clock_monotonic_ns();
	write_file("step6-fixed-trace-5s.pftrace");
	events_await(&page, "captures",
		"{\"name\":\"step6-fixed-trace-5s.pftrace\",\"label\":\"\",\"viewer\":\"timeline\",\"seconds\":5,"
		"\"kind\":\"trace\",\"step\":6,\"variant\":\"fixed\",");
	assert_in_range(clock_monotonic_ns() - begun_ns, 0, SEEN_WITHIN_NS);
	events_close(&page);
}

/*
 * Has one taken with FIELDS. Returns its id once pages are told that it ended: what they were told
 * last may be older than the request, so that an empty list alone says nothing.
 */
static unsigned take_to_the_end(const char *fields)
{
	struct client_response response = events_post(server, "/capture/take", fields);
	struct events page = events_open(server);
	char name[CAPTURE_NAME_BYTES], ended[2 * CAPTURE_NAME_BYTES];
	unsigned id;

	assert_int_equal(sscanf(response.body, "{\"id\":%u,\"name\":\"%127[^\"]", &id, name), 2);
	snprintf(ended, sizeof(ended), "{\"id\":%u,\"name\":\"%s\",\"kept\":", id, name);
	events_await(&page, "taking", ended);
	events_close(&page);
	return id;
}

/* Whoever comes later is told too, why there is no such capture. */
static void tells_how_the_last_ones_ended(void **state)
{
	struct events page;
	const char *ended;
	unsigned ids[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		ids[i] = take_to_the_end("kind=mutex");
	for (int i = 0; i < CAPTURE_ENDED_MAX - 1; i++)
		take_to_the_end("kind=heap&name=good");
	page = events_open(server);
	ended = strstr(events_await(&page, "taking", "{\"takings\":[],"), "\"ended\":[{\"id\":");
	assert_non_null(ended);
	assert_int_equal(strtoul(ended + strlen("\"ended\":[{\"id\":"), NULL, 10), ids[1]);
	expect_in(ended, ",\"kept\":false,\"reason\":\"The patient answered 500: Could not");
	expect_in(ended, ",\"kept\":true,\"reason\":\"\"}]}");
	assert_true(ids[1] > ids[0] && ids[0] > 1600000000); /* a restarted desk has others */
	events_close(&page);
}

/* Two people press the same in one second. */
static void names_are_each_ones_own(void **state)
{
	struct events page = events_open(server);

	(void)state;
	for (int i = 0; i < CAPTURE_TAKINGS_MAX; i++)
		expect_post(server, "/capture/take", "kind=heap", 202, "heap-20");
	for (int i = 0; i < CAPTURE_TAKINGS_MAX; i++)
		expect_in(events_await(&page, "taken", "heap-20"), "\"kept\":true");
	assert_int_equal(count_files(), CAPTURE_TAKINGS_MAX);
	events_close(&page);
}

static void marks_only_what_was_kept(void **state)
{
	struct events page = events_open(server);

	(void)state;
	expect_post(server, "/capture/take", "kind=fd", 202, "fd-20");
	expect_in(events_await(&page, "taken", "fd-20"), "\"kept\":false");
	expect_post(server, "/capture/take", "kind=threads&seconds=3", 202, "threads-3s-20");
	expect_in(events_await(&page, "mark", ""), "\"text\":\"threads 3 s\"");
	events_close(&page);
}

/* What is received piece by piece changes nothing in the list. */
static void tells_the_list_only_when_it_changes(void **state)
{
	struct events page = events_open(server);
	size_t before_bytes;
	unsigned id;

	(void)state;
	write_file("odd name.pb.gz");
	events_await(&page, "captures", "{\"captures\":[],\"older_count\":0,\"hidden_count\":1,");
	expect_post(server, "/capture/take", "kind=wall&seconds=60", 202, "wall-60s-20");
	assert_int_equal(sscanf(events_await(&page, "taking", "\"bytes\":3"),
				 "{\"takings\":[{\"id\":%u", &id),
		1);
	before_bytes = page.seen_bytes;
	events_await(&page, "taking", "\"bytes\":6");
	assert_null(memmem(page.text.data + before_bytes, page.seen_bytes - before_bytes,
		"event: captures", strlen("event: captures")));
	assert_int_equal(capture_taker_cancel(id), 0);
	events_await(&page, "taken", "wall-60s");
	events_close(&page);
}

/* The last one: the patient does not come back. */
static void says_that_the_patient_is_down(void **state)
{
	struct events page = events_open(server);

	(void)state;
	http_server_stop(patient, 1000);
	expect_post(server, "/capture/take", "kind=heap", 202, "heap-20");
	expect_in(events_await(&page, "taken", "heap-20"), "The patient is down");
	assert_int_equal(count_files(), 0);
	events_close(&page);
	start_patient();
}

#define TEST(name) cmocka_unit_test_setup(name, empty)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_a_capture),
		TEST(asks_for_the_window),
		TEST(keeps_nothing_of_a_patient_that_dies),
		TEST(passes_on_why_the_patient_refuses),
		TEST(cancels_in_the_patient_too),
		TEST(shows_how_far_it_is),
		TEST(takes_four_at_most),
		TEST(refuses_what_makes_no_sense),
		TEST(renames_and_deletes),
		TEST(shows_what_others_put_there),
		TEST(tells_how_the_last_ones_ended),
		TEST(names_are_each_ones_own),
		TEST(marks_only_what_was_kept),
		TEST(tells_the_list_only_when_it_changes),
		TEST(says_that_the_patient_is_down),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
