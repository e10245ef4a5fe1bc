/* The last ten minutes: which samples and marks are there, and which are gone. */
#include "../http/client.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "desk/vitals.h"

static struct http_server *server;
static struct strbuf text; /* what /vitals answered last */

/* ---- what is told ---- */

static void ask(void)
{
	char some[16 * 1024];
	struct client_response response;
	int fd = client_connect(server);
	ssize_t got;

	strbuf_free(&text);
	client_send(fd, "GET /vitals HTTP/1.0\r\nHost: localhost\r\n\r\n");
	client_receive_head(fd, &response);
	assert_int_equal(response.status, 200);
	while ((got = read(fd, some, sizeof(some))) > 0)
		strbuf_add(&text, some, (size_t)got);
	close(fd);
	assert_int_equal(got, 0);
}

static const char *find(const char *part)
{
	const char *at = strstr(text.data, part);

	if (!at)
		fail_msg("no %s in %s", part, text.data);
	return at + strlen(part);
}

/* The numbers of a column, NAN for null; returns how many. */
static size_t read_column(const char *name, double values[VITALS_LENGTH + 1])
{
	char head[64];
	const char *at;
	size_t count = 0;

	snprintf(head, sizeof(head), "\"%s\":[", name);
	for (at = find(head); *at != ']'; at += *at == ',') {
		char *end;

		assert_true(count <= VITALS_LENGTH);
		values[count++] = *at == 'n' ? NAN : strtod(at, &end);
		at = *at == 'n' ? at + strlen("null") : end;
	}
	return count;
}

static size_t count_marks(void)
{
	size_t count = 0;

	for (const char *at = find("\"marks\":["); (at = strstr(at, "\"text\":")); at++)
		count++;
	return count;
}

/* ---- what comes ---- */

static void add(double rss_bytes)
{
	const struct patient_numbers numbers = {.start_s = 1,
		.cpu_s = NAN,
		.rss_bytes = rss_bytes,
		.answers = NAN,
		.answers_s = NAN};

	vitals_add(&numbers, 0);
}

static void mark(size_t number)
{
	char name[VITALS_MARK_BYTES];

	snprintf(name, sizeof(name), "mark %zu", number);
	vitals_mark(name);
}

/* ---- tests ---- */

static void there_is_nothing_at_first(void **state)
{
	double values[VITALS_LENGTH + 1];

	(void)state;
	ask();
	assert_int_equal(read_column("t", values), 0);
	assert_int_equal(count_marks(), 0);
	find("{\"number\":0,\"mark_number\":0,");
}

static void latency_is_the_worst_that_is_known(void **state)
{
	struct patient_numbers numbers = {.start_s = 1, .answers = 10, .answers_s = 1};
	double ms[VITALS_LENGTH + 1];

	(void)state;
	vitals_add(&numbers, 0); /* what counts from */
	numbers.answers = 12;
	numbers.answers_s = 2;
	vitals_add(&numbers, 0); /* 500 ms each, it says */
	vitals_add_answer(100);
	vitals_add_answer(200);
	numbers.answers = 14;
	numbers.answers_s = 2.1;
	vitals_add(&numbers, 0); /* 50 ms, it says */
	vitals_add(&numbers, 7000);
	vitals_add(NULL, 8000);
	vitals_add(NULL, 0);
	ask();
	assert_int_equal(read_column("latency_ms", ms), 6);
	assert_true(isnan(ms[0]));
	assert_float_equal(ms[1], 500, 0.001);
	assert_float_equal(ms[2], 150, 0.001);
	assert_float_equal(ms[3], 7000, 0.001);
	assert_float_equal(ms[4], 8000, 0.001);
	assert_true(isnan(ms[5]));
}

static void the_oldest_samples_give_way(void **state)
{
	double times[VITALS_LENGTH + 1], bytes[VITALS_LENGTH + 1];

	(void)state;
	for (int i = 1; i <= VITALS_LENGTH + 5; i++)
		add(i);
	ask();
	assert_int_equal(read_column("t", times), VITALS_LENGTH);
	assert_int_equal(read_column("rss_bytes", bytes), VITALS_LENGTH);
	for (int i = 0; i < VITALS_LENGTH; i++) {
		assert_float_equal(bytes[i], i + 6, 0.001);
		assert_true(i == 0 || times[i] >= times[i - 1]);
	}
	add(1000);
	ask();
	assert_int_equal(read_column("rss_bytes", bytes), VITALS_LENGTH);
	assert_float_equal(bytes[0], 7, 0.001);
	assert_float_equal(bytes[VITALS_LENGTH - 2], VITALS_LENGTH + 5, 0.001);
	assert_float_equal(bytes[VITALS_LENGTH - 1], 1000, 0.001);
}

static void the_oldest_marks_give_way(void **state)
{
	(void)state;
	for (size_t i = 1; i <= VITALS_MARKS_MAX + 3; i++)
		mark(i);
	ask();
	assert_int_equal(count_marks(), VITALS_MARKS_MAX);
	assert_int_equal(strncmp(find("\"marks\":["), "{\"number\":4,", 12), 0);
	find("\"text\":\"mark 4\"}");
	find("\"text\":\"mark 103\"}]}");
	assert_null(strstr(text.data, "\"text\":\"mark 3\""));
	find(",\"mark_number\":103,");
}

static void marks_go_with_their_samples(void **state)
{
	(void)state;
	for (int i = 0; i < VITALS_LENGTH; i++)
		add(i);
	mark(200);
	vitals_mark_at("long ago", clock_realtime_ns() - CLOCK_NS_PER_SEC * 3600);
	ask();
	assert_int_equal(count_marks(), 1);
	find("\"text\":\"mark 200\"}]}");
	find(",\"mark_number\":105,");
}

static void a_long_mark_is_cut(void **state)
{
	char longer[2 * VITALS_MARK_BYTES];
	const char *at;

	(void)state;
	memset(longer, '"', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	vitals_mark(longer);
	ask();
	at = find("\"text\":\"\\\"");
	assert_int_equal(strspn(at, "\\\""), 2 * (VITALS_MARK_BYTES - 2) + 1);
}

static int start(void **state)
{
	static const struct http_server_config config = {"127.0.0.1:0", 1, "test"};

	(void)state;
	assert_int_equal(http_server_create(&config, &server), 0);
	vitals_mount(server);
	return http_server_start(server);
}

static int stop(void **state)
{
	(void)state;
	http_server_stop(server, 1000);
	strbuf_free(&text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_nothing_at_first),
		cmocka_unit_test(latency_is_the_worst_that_is_known),
		cmocka_unit_test(the_oldest_samples_give_way),
		cmocka_unit_test(the_oldest_marks_give_way),
		cmocka_unit_test(marks_go_with_their_samples),
		cmocka_unit_test(a_long_mark_is_cut),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
