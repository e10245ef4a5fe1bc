/*
 * The desk beside a patient that is down, slow, stuck, and back again: a stand-in for it, in this
 * process. Two pages are open all the time, and see the same.
 */
#include "events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "desk/controls.h"
#include "desk/hub.h"
#include "desk/patient.h"
#include "desk/requests.h"
#include "desk/vitals.h"
#include "http/params.h"

#define SHOWS_NS (2500 * CLOCK_NS_PER_MS) /* 2 s is the promise, the rest this machine's */

static struct http_server *standin, *desk;
static struct http_pool *pool;
static struct events pages[2];

/* ---- the stand-in ---- */

static atomic_int step, started, served_count, waiting_count, most_waiting_count;
static atomic_bool is_slow, is_stuck, is_nonsense, is_dripping;

/* Always within the time that one read may take. */
static void drip(struct http_job *job)
{
	if (http_stream_write(job, "#", 1) != 0 || !atomic_load(&is_dripping))
		http_stream_end(job);
	else
		http_after(job, 200, drip);
}

static void on_metrics(struct http_job *job)
{
	if (atomic_load(&is_dripping)) {
		if (http_stream_begin(job, 200, "text/plain"))
			drip(job);
	} else if (atomic_load(&is_slow))
		http_after(job, 50, on_metrics);
	else if (atomic_load(&is_nonsense))
		http_reply_text(job, 200, "{\"app_pid\": \"</script>\"}");
	else
		http_reply_text(job, 200,
			"app_pid 77\nprocess_start_time_seconds %d\nprocess_cpu_seconds_total 1\n"
			"process_open_fds 12\napp_step{number=\"%d\",name=\"x\",variant=\"leaky\"} 1\n"
			"app_request_duration_seconds_sum{step=\"none\"} %d\n"
			"app_request_duration_seconds_count{step=\"none\"} %d",
			atomic_load(&started), atomic_load(&step), 2 * atomic_load(&served_count),
			atomic_load(&served_count));
}

static void on_goto(struct http_job *job)
{
	int64_t wanted;

	if (!*http_query(job)) {
		http_reply_text(job, 200,
			"step 0\n\n/goto?step=0  none  rests\n/goto?step=6  fd \"leak\"  opens");
	} else if (params_int(http_query(job), "step", -1, 0, 6, &wanted) != 0) {
		http_reply_text(job, 400, "step must be 0 to 6");
	} else {
		atomic_store(&step, (int)wanted);
		atomic_store(&is_stuck, false);
		http_reply_text(job, 200, "switched to step %d", (int)wanted);
	}
}

static void end_waiting(void *unused)
{
	(void)unused;
	atomic_fetch_sub(&waiting_count, 1);
}

static void answer(struct http_job *job)
{
	if (atomic_load(&is_stuck)) {
		http_after(job, 20, answer);
		return;
	}
	atomic_fetch_add(&served_count, 1);
	http_reply_text(job, 200, "hello world");
}

static void on_home(struct http_job *job)
{
	int now_waiting = atomic_fetch_add(&waiting_count, 1) + 1;

	if (now_waiting > atomic_load(&most_waiting_count))
		atomic_store(&most_waiting_count, now_waiting);
	http_set_data(job, &waiting_count, end_waiting);
	answer(job);
}

static void start_standin(const char *listen)
{
	static const struct http_route routes[] = {
		{"/metrics", HTTP_GET, on_metrics, NULL},
		{"/goto", HTTP_GET, on_goto, NULL},
		{"/", HTTP_GET, on_home, NULL},
	};
	const struct http_server_config config = {listen, 1, "standin"};

	atomic_fetch_add(&started, 1);
	assert_int_equal(http_server_create(&config, &standin), 0);
	http_server_add_routes(standin, routes, 3);
	assert_int_equal(http_server_start(standin), 0);
}

static int connect_in_passing(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* As an address that nobody has any more: a listener whose queue is full does not answer at all. */
static void play_nobody(uint16_t port, int fds[4])
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int on = 1;

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fds[0], (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fds[0], 0), 0);
	for (int i = 1; i < 4; i++)
		fds[i] = connect_in_passing(&address);
}

/* ---- both pages ---- */

static void await_both(const char *event, const char *part)
{
	events_await(&pages[0], event, part);
	events_await(&pages[1], event, part);
}

static void await_soon(const char *event, const char *part)
{
	int64_t begin_ns = clock_monotonic_ns();

	await_both(event, part);
	if (clock_monotonic_ns() - begin_ns > SHOWS_NS)
		fail_msg("%s took %lld ms", part,
			(long long)((clock_monotonic_ns() - begin_ns) / CLOCK_NS_PER_MS));
}

static void post(const char *target, const char *fields, int status, const char *sentence)
{
	struct client_response response = events_post(desk, target, fields);

	if (response.status != status || !strstr(response.body, sentence))
		fail_msg("%s %s: %d %s", target, fields, response.status, response.body);
}

static void shows_a_patient_that_is_well(void **state)
{
	(void)state;
	await_both("patient", "\"up\":true,\"pid\":77,");
	await_both("patient",
		",\"step\":0,\"variant\":\"leaky\",\"steps\":[{\"number\":0,\"name\":\"none\",\"does\":"
		"\"rests\"},{\"number\":6,\"name\":\"fd \\\"leak\\\"\",\"does\":\"opens\"}],"
		"\"health\":\"ok\",");
	await_both("vitals", "\"fds\":12,");
}

static void goes_to_a_step_and_back(void **state)
{
	static struct client_response response;

	(void)state;
	post("/patient/goto", "step=6&variant=leaky", 200, "switched to step 6");
	await_soon("mark", "\"text\":\"step 6\"");
	await_soon("patient", "\"step\":6,");
	post("/patient/goto", "step=7", 400, "step must be 0 to 6"); /* the patient's own words */
	post("/patient/requests", "rate=1", 200, "1 requests a second");
	await_both("load", "\"rate\":1,");
	post("/patient/reset", "", 200, "switched to step 0");
	await_both("load", "\"rate\":0,");
	await_soon("patient", "\"step\":0,");
	await_both("vitals", "\"mark_number\":2,");
	client_get(desk, "/vitals", &response);
	assert_int_equal(response.status, 200);
	assert_non_null(strstr(response.body, "{\"number\":"));
	assert_non_null(strstr(response.body, ",\"mark_number\":2,\"t\":["));
	assert_non_null(strstr(response.body, "\"fds\":[12"));
	assert_non_null(strstr(response.body, "\"text\":\"step 6\"}"));
	assert_non_null(strstr(response.body, "\"text\":\"step 0\"}]}"));
}

static void refuses_nonsense(void **state)
{
	static const char *const bad_steps[] = {"", "step=", "step=x", "step=-1", "step=99",
		"step=6&variant=", "step=6&variant=broken", "step=6%00", "variant=leaky"};
	static const char *const bad_requests[] = {"", "count=0", "count=11", "count=-1", "count=x",
		"rate=-1", "rate=21", "rate=1.5", "rate="};

	(void)state;
	for (size_t i = 0; i < sizeof(bad_steps) / sizeof(bad_steps[0]); i++)
		post("/patient/goto", bad_steps[i], 400, "must be");
	for (size_t i = 0; i < sizeof(bad_requests) / sizeof(bad_requests[0]); i++)
		post("/patient/requests", bad_requests[i], 400, i ? "must be" : "missing");
	assert_int_equal(atomic_load(&step), 0);
}

static void tells_how_long_answers_took(void **state)
{
	int before = atomic_load(&served_count);

	(void)state;
	post("/patient/requests", "count=3", 202, "3 requests are under way.");
	for (int i = 0; i < 3; i++)
		await_soon("answer", "\"status\":200,\"step\":0,\"why\":\"\"}");
	await_soon("vitals", "\"latency_ms\":2000,"); /* as the stand-in counts */
	assert_int_equal(atomic_load(&served_count) - before, 3);
}

/* Until both pages are told of at least so much. */
static void await_latency(double least_ms)
{
	for (int i = 0; i < 2; i++) {
		double ms = 0;

		while (ms < least_ms) {
			const char *vitals = events_await(&pages[i], "vitals", "\"latency_ms\":");

			sscanf(strstr(vitals, "\"latency_ms\":"), "\"latency_ms\":%lf", &ms);
		}
	}
}

/* The patient counts only what it has answered. */
static void latency_is_that_of_who_waits(void **state)
{
	(void)state;
	atomic_store(&is_stuck, true);
	post("/patient/requests", "count=1", 202, "under way");
	await_latency(2500);
	atomic_store(&is_stuck, false);
	await_soon("answer", "\"status\":200");
	await_latency(2500); /* the patient says 2000 */
	await_soon("vitals", "\"latency_ms\":null,");
}

static void a_steady_load_is_bounded(void **state)
{
	(void)state;
	atomic_store(&is_stuck, true);
	for (int i = 0; i < 3; i++)
		post("/patient/requests", "count=10", 202, "10 requests");
	post("/patient/requests", "count=3", 429, "32");
	post("/patient/requests", "rate=20", 200, "20 requests a second");
	await_both("load", "\"rate\":20,\"in_flight\":32,\"held_back\":");
	await_soon("patient", "\"health\":\"slow\",");
	assert_int_equal(atomic_load(&most_waiting_count), REQUESTS_MAX);
	post("/patient/goto", "step=0", 200, "switched to step 0"); /* lets them go */
	await_soon("answer", "\"status\":200");
	await_soon("patient", "\"health\":\"ok\",");
	await_both("answer", "\"status\":200"); /* it goes on */
	post("/patient/requests", "rate=0", 200, "No more");
	await_soon("load", "\"rate\":0,\"in_flight\":0,\"held_back\":0");
}

static void shows_one_that_is_slow(void **state)
{
	(void)state;
	atomic_store(&is_slow, true);
	await_soon("patient", "\"health\":\"slow\",");
	await_both("vitals", "\"fds\":null");
	atomic_store(&is_slow, false);
	await_soon("patient", "\"health\":\"ok\",");
	await_both("vitals", "\"fds\":12");
}

static void shows_one_that_drips(void **state)
{
	(void)state;
	atomic_store(&is_dripping, true);
	await_soon("patient", "\"health\":\"slow\",");
	atomic_store(&is_dripping, false);
	await_soon("patient", "\"health\":\"ok\",");
}

static void shows_one_that_talks_nonsense(void **state)
{
	(void)state;
	atomic_store(&is_nonsense, true);
	await_soon("patient",
		"\"health\":\"down\",\"since_s\":0,\"why\":\"what answers there is no patient");
	atomic_store(&is_nonsense, false);
	await_soon("patient", "\"health\":\"ok\",");
}

static void shows_one_that_is_down_and_back_again(void **state)
{
	char listen[32];

	(void)state;
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", http_server_port(standin));
	http_server_stop(standin, 0);
	await_soon("mark", "\"text\":\"down\"");
	await_soon("patient", "{\"up\":false,\"pid\":null,\"uptime_s\":null,");
	await_soon("patient", "\"health\":\"down\",");
	post("/patient/goto", "step=6", 502, "make reset");
	post("/patient/requests", "count=1", 202, "One request is under way.");
	await_soon("answer", "\"status\":0,\"step\":0,\"why\":\"127.0.0.1:");
	start_standin(listen);
	await_soon("mark", "\"text\":\"restarted\"");
	await_soon("patient", "{\"up\":true,\"pid\":77,");
	await_both("patient", "\"health\":\"ok\",");
}

static void shows_one_that_nobody_reaches(void **state)
{
	uint16_t port = http_server_port(standin);
	char listen[32];
	int fds[4];

	(void)state;
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", port);
	http_server_stop(standin, 0);
	await_soon("mark", "\"text\":\"down\"");
	play_nobody(port, fds);
	await_soon("patient", "no route to host");
	await_soon("patient", "{\"up\":false,\"pid\":null,");
	await_soon("patient", "\"health\":\"down\",");
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	start_standin(listen);
	await_soon("patient", "\"health\":\"ok\",");
}

static int start(void **state)
{
	static const struct http_server_config config = {"127.0.0.1:0", 2, "test"};
	static const struct http_pool_config threads = {"control", 2, 8, NULL};
	static char url[32];

	(void)state;
	start_standin("127.0.0.1:0");
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(standin));
	assert_int_equal(http_server_create(&config, &desk), 0);
	assert_int_equal(http_pool_create(&threads, &pool), 0);
	hub_mount(desk, HUB_STALL_MS);
	vitals_mount(desk);
	assert_int_equal(patient_start("not an address"), -EINVAL);
	assert_int_equal(patient_start(url), 0);
	assert_int_equal(requests_start(url), 0);
	assert_int_equal(controls_mount(desk, pool, url), 0);
	assert_int_equal(http_server_start(desk), 0);
	pages[0] = events_open(desk);
	pages[1] = events_open(desk);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	events_close(&pages[0]);
	events_close(&pages[1]);
	hub_stop();
	controls_stop();
	http_server_stop(desk, 1000);
	requests_stop();
	patient_stop();
	http_pool_stop(pool, 1000);
	http_server_stop(standin, 1000);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_a_patient_that_is_well),
		cmocka_unit_test(goes_to_a_step_and_back),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(tells_how_long_answers_took),
		cmocka_unit_test(latency_is_that_of_who_waits),
		cmocka_unit_test(a_steady_load_is_bounded),
		cmocka_unit_test(shows_one_that_is_slow),
		cmocka_unit_test(shows_one_that_drips),
		cmocka_unit_test(shows_one_that_talks_nonsense),
		cmocka_unit_test(shows_one_that_is_down_and_back_again),
		cmocka_unit_test(shows_one_that_nobody_reaches),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
