/* What is said to the kernel's recorder, and by it. */
#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "desk/recorder.h"

static struct capture_error error;
static struct strbuf received;
static int desk_fd, recorder_fd;

static int connect_both(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	desk_fd = fds[0];
	recorder_fd = fds[1];
	error.text[0] = '\0';
	received = (struct strbuf)STRBUF_INIT;
	return 0;
}

static int close_desk(void **state)
{
	(void)state;
	strbuf_free(&received);
	return close(desk_fd);
}

static void say(const char *text)
{
	assert_int_equal(write(recorder_fd, text, strlen(text)), strlen(text));
}

static void say_last(const char *text)
{
	say(text);
	close(recorder_fd);
}

static int receive(void *context, const void *piece, size_t len_bytes, struct capture_error *why)
{
	(void)context;
	(void)why;
	strbuf_add(&received, piece, len_bytes);
	return 0;
}

static int refuse(void *context, const void *piece, size_t len_bytes, struct capture_error *why)
{
	(void)context;
	(void)piece;
	(void)len_bytes;
	snprintf(why->text, sizeof(why->text), "The disk is full.");
	return -ENOSPC;
}

/* ---- tests ---- */

static void begins_when_it_records(void **state)
{
	(void)state;
	say("whatever else is said\nrecorder: recording\n");
	assert_int_equal(recorder_start(desk_fd, &error), 0);
	say_last("");
}

static void its_last_words_say_why_it_does_not(void **state)
{
	char line[1001];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	say(line);
	say_last("\nrecorder: tracefs cannot be written\n");
	assert_int_equal(recorder_start(desk_fd, &error), -ECONNABORTED);
	assert_string_equal(error.text, "The kernel is not recorded: tracefs cannot be written.");
}

static void one_that_says_nothing_has_ended(void **state)
{
	(void)state;
	say_last("");
	assert_int_equal(recorder_start(desk_fd, &error), -ECONNABORTED);
	assert_string_equal(error.text, "The kernel is not recorded: its recorder has ended.");
}

static void gives_back_what_it_has_merged(void **state)
{
	(void)state;
	say("recorder: 5 events of the kernel\nrecorder: the trace has 7 bytes\n\nmerged");
	say_last("and what is not of it");
	assert_int_equal(recorder_merge(desk_fd, receive, NULL, &error), 0);
	assert_int_equal(received.len_bytes, 7);
	assert_memory_equal(received.data, "\nmerged", 7);
}

static void hears_that_the_patients_trace_is_whole(void **state)
{
	char got[16];

	(void)state;
	say("recorder: the trace has 1 bytes\nx");
	assert_int_equal(recorder_write(desk_fd, "own", 3, &error), 0);
	assert_int_equal(recorder_merge(desk_fd, receive, NULL, &error), 0);
	assert_int_equal(read(recorder_fd, got, sizeof(got)), 3);
	assert_int_equal(read(recorder_fd, got, sizeof(got)), 0);
	say_last("");
}

static void a_part_is_not_taken_for_the_whole(void **state)
{
	static const char *const said[] = {
		"recorder: the trace has 100 bytes\nhalf",
		"recorder: the trace has -1 bytes\nhalf",
		"recorder: the trace has 0 bytes\n",
		"recorder: the trace has grown\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		say_last(said[i]);
		assert_int_equal(recorder_merge(desk_fd, receive, NULL, &error), -ECONNABORTED);
		assert_non_null(strstr(error.text, "before all of its trace had come"));
		close_desk(state);
		connect_both(state);
	}
	say_last("");
}

static void where_it_cannot_be_kept_that_is_the_reason(void **state)
{
	(void)state;
	say("recorder: the trace has 100 bytes\nhalf");
	assert_int_equal(recorder_merge(desk_fd, refuse, NULL, &error), -ENOSPC);
	assert_string_equal(error.text, "The disk is full.");
	say_last("");
}

static void one_that_ends_meanwhile_has_said_why(void **state)
{
	(void)state;
	say_last("recorder: no space is left\n");
	assert_int_equal(recorder_write(desk_fd, "own", 3, &error), -ECONNABORTED);
	assert_string_equal(error.text, "The kernel is not recorded: no space is left.");
}

static void where_none_stands_that_is_said(void **state)
{
	char path[256];
	int fd;

	(void)state;
	say_last("");
	assert_false(recorder_stands("/nowhere/socket"));
	assert_int_equal(recorder_connect("/nowhere/socket", &fd, &error), -ENOENT);
	assert_non_null(strstr(error.text, "COMPOSE_PROFILES=kernel-trace make up"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(recorder_connect(path, &fd, &error), -ENAMETOOLONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, connect_both, close_desk)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(begins_when_it_records),
		TEST(its_last_words_say_why_it_does_not),
		TEST(one_that_says_nothing_has_ended),
		TEST(gives_back_what_it_has_merged),
		TEST(hears_that_the_patients_trace_is_whole),
		TEST(a_part_is_not_taken_for_the_whole),
		TEST(where_it_cannot_be_kept_that_is_the_reason),
		TEST(one_that_ends_meanwhile_has_said_why),
		TEST(where_none_stands_that_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
