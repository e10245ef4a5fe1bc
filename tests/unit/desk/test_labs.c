/* Answers and progress over real sockets, and what is left of it when the desk is gone. */
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "desk/hub.h"
#include "desk/labs.h"
#include "desk/progress.h"

static char place[] = "/tmp/sickbay-labs-XXXXXX";
static char answers[64], kept[64];
static struct http_server *server;
static struct http_pool *pool;

/* What a file server has below the same path stays what it was. */
static const struct http_files files = {"/labs", place, NULL};

static int start(void **state)
{
	const struct http_server_config listen = {"127.0.0.1:0", 1, "test"};
	const struct http_pool_config threads = {"page", 2, 8, NULL};
	const struct labs_config config = {answers, kept};
	char command[512];

	(void)state;
	assert_non_null(mkdtemp(place));
	snprintf(answers, sizeof(answers), "%s/labs", place);
	snprintf(kept, sizeof(kept), "%s/progress", place);
	snprintf(command, sizeof(command),
		"cd %s && mkdir -p labs/03-it-grows labs/08-files labs/09-silent labs/Other &&"
		"printf 'step 3\\nfunction leak_memory\\nresource memory\\nseen \"ps\"\\n' "
		">labs/03-it-grows/answer && cp labs/03-it-grows/answer labs/Other/ &&"
		"printf 'pair file\\nfunction write_log_file\\nresource descriptor\\n' "
		">labs/08-files/answer && echo page >labs/page",
		place);
	assert_int_equal(system(command), 0);
	assert_int_equal(http_server_create(&listen, &server), 0);
	assert_int_equal(http_pool_create(&threads, &pool), 0);
	http_server_add_files(server, &files);
	hub_mount(server, HUB_STALL_MS);
	labs_mount(server, pool, &config);
	assert_int_equal(http_server_start(server), 0);
	return 0;
}

static int stop(void **state)
{
	char command[128];

	(void)state;
	hub_stop();
	http_server_stop(server, 1000);
	http_pool_stop(pool, 1000);
	snprintf(command, sizeof(command), "chmod -R u+w %s; rm -rf %s", place, place);
	return system(command);
}

static struct client_response post(const char *target, const char *fields)
{
	return events_post(server, target, fields);
}

static void expect(const char *target, const char *fields, int status, const char *body)
{
	struct client_response response = post(target, fields);

	if (response.status != status || strcmp(response.body, body) != 0)
		fail_msg("%s %s: %d %s", target, fields, response.status, response.body);
}

static void expect_progress(const char *json)
{
	struct client_response response;

	client_get(server, "/labs/progress", &response);
	assert_int_equal(response.status, 200);
	assert_string_equal(response.body, json);
}

#define PROGRESS(first, second, third, fourth)                                           \
	"{\"labs\":{\"03-it-grows\":{\"answered\":" first ",\"verified\":" second "},\"" \
	"08-files\":{\"answered\":" third ",\"verified\":" fourth "}}}"
#define NONE PROGRESS("false", "false", "false", "false")

static int forget(void **state)
{
	(void)state;
	expect("/labs/forget", "", 200, "All progress is forgotten.\n");
	return 0;
}

static void right_is_told_with_how_it_is_seen(void **state)
{
	static const char *const labs[] = {"lab=03-it-grows", "step=3", "pair=&step=3"};
	char fields[256];

	(void)state;
	for (size_t i = 0; i < sizeof(labs) / sizeof(labs[0]); i++) {
		snprintf(fields, sizeof(fields), "%s&function=leak_memory%%28%%29&resource=Memory",
			labs[i]);
		expect("/labs/answer", fields, 200,
			"{\"right\":true,\"text\":\"Right.\\n\\\"ps\\\"\"}");
	}
	expect_progress(PROGRESS("true", "false", "false", "false"));
}

static void wrong_gives_nothing_away(void **state)
{
	static const char *const wrong[] = {"function=leak_memory&resource=cpu",
		"function=main&resource=memory", "function=main&resource=cpu", "",
		"function=", "resource=memory", "function=%00&resource=%zz", "function=leak_memory",
		"function=write_log_file&resource=descriptor"};
	struct client_response first = post("/labs/answer", "step=3&function=a&resource=b");
	char fields[512];

	(void)state;
	assert_non_null(strstr(first.body, "{\"right\":false,\"text\":\"That is not it"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(fields, sizeof(fields), "step=3&%s", wrong[i]);
		expect("/labs/answer", fields, 200, first.body);
	}
	memset(fields, 'a', sizeof(fields) - 1);
	fields[sizeof(fields) - 1] = '\0';
	memcpy(fields, "step=3&resource=memory&function=", 32);
	expect("/labs/answer", fields, 200, first.body);
	expect_progress(NONE);
}

static void labs_that_are_not_there_are_refused(void **state)
{
	static const char *const targets[] = {"/labs/answer", "/labs/verified"};
	static const char *const absent[] = {"lab=03", "lab=Other", "lab=09-silent", "step=4",
		"pair=http", "lab=../03-it-grows", "lab=%00", "step=%s"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		expect(targets[i], "function=a", 400,
			"Which lab? Give lab, step or pair, such as step=3 or pair=file.\n");
		for (size_t j = 0; j < sizeof(absent) / sizeof(absent[0]); j++)
			expect(targets[i], absent[j], 404, "There is no such lab here.\n");
	}
	expect_progress(NONE);
}

static void every_page_is_told(void **state)
{
	struct events events = events_open(server);

	(void)state;
	events_await(&events, "progress", NONE);
	expect("/labs/verified", "pair=file", 200, "Noted.\n");
	events_await(&events, "progress", PROGRESS("false", "false", "false", "true"));
	expect("/labs/forget", "", 200, "All progress is forgotten.\n");
	events_await(&events, "progress", NONE);
	events_close(&events);
}

static void files_beside_are_served(void **state)
{
	struct client_response response;

	(void)state;
	client_get(server, "/labs/labs/page", &response);
	assert_string_equal(response.body, "page\n");
	client_get(server, "/labs/answer", &response);
	assert_int_equal(response.status, 405);
	assert_int_equal(post("/labs/labs/page", "").status, 405);
}

static void what_cannot_be_kept_is_told(void **state)
{
	struct client_response response;

	(void)state;
	/* Root writes where it likes; but not over a directory. */
	assert_int_equal(unlink(kept), 0);
	assert_int_equal(mkdir(kept, 0755), 0);
	response = post("/labs/answer", "step=3&function=leak_memory&resource=memory");
	assert_non_null(strstr(response.body, "{\"right\":true,\"text\":\"Right."));
	assert_non_null(strstr(response.body, "Your progress cannot be kept: Is a directory."));
	expect("/labs/verified", "step=3", 500, "Progress cannot be kept: Is a directory.\n");
	assert_int_equal(rmdir(kept), 0);
}

/* ---- the file ---- */

static bool is_kept(const char *name)
{
	struct progress progress = {0};

	assert_int_equal(progress_load(kept, &progress), 0);
	return progress_of(&progress, name)->answered;
}

/* Writes one and the other by turns, until it is killed. */
static void write_for_ever(void)
{
	struct progress progress = {0};

	progress_of(&progress, "01-first")->answered = true;
	for (;;) {
		progress_of(&progress, "02-second")->answered ^= true;
		if (progress_save(kept, &progress) != 0)
			_exit(1);
	}
}

static void whatever_ends_the_desk_the_file_is_whole(void **state)
{
	struct progress progress = {0};

	(void)state;
	progress_of(&progress, "01-first")->answered = true;
	assert_int_equal(progress_save(kept, &progress), 0);
	for (int i = 0; i < 20; i++) {
		int status;
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0)
			write_for_ever();
		usleep(1000 + 777 * (unsigned)i);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_true(is_kept("01-first"));
	}
}

static void a_full_disk_is_told(void **state)
{
	struct progress progress = {0};

	(void)state;
	progress_of(&progress, "01-first")->answered = true;
	assert_int_equal(progress_save("/dev/full/progress", &progress), -ENOTDIR);
	assert_int_equal(symlink("/dev/full", "/tmp/sickbay-full.new"), 0);
	assert_int_equal(progress_save("/tmp/sickbay-full", &progress), -ENOSPC);
	assert_int_equal(access("/tmp/sickbay-full.new", F_OK), -1);
	assert_int_equal(access("/tmp/sickbay-full", F_OK), -1);
}

static void what_is_not_understood_is_left_out(void **state)
{
	struct progress progress = {0};
	FILE *file = fopen(kept, "w");

	(void)state;
	assert_non_null(file);
	fprintf(file,
		"01-a answered\n\n 02-b answered\n../03-c answered\n04-d verified nonsense\n");
	for (int i = 0; i < 2 * PROGRESS_LABS_MAX; i++)
		fprintf(file, "10-many-%d answered\n", i);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(progress_load(kept, &progress), 0);
	assert_int_equal(progress.count, PROGRESS_LABS_MAX);
	assert_string_equal(progress.labs[0].name, "01-a");
	assert_true(progress.labs[0].answered && !progress.labs[0].verified);
	assert_string_equal(progress.labs[1].name, "04-d");
	assert_true(progress.labs[1].verified && !progress.labs[1].answered);
	assert_null(progress_of(&progress, "11-one-more"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(right_is_told_with_how_it_is_seen, forget),
		cmocka_unit_test_setup(wrong_gives_nothing_away, forget),
		cmocka_unit_test_setup(labs_that_are_not_there_are_refused, forget),
		cmocka_unit_test_setup(every_page_is_told, forget),
		cmocka_unit_test_setup(files_beside_are_served, forget),
		cmocka_unit_test_setup(what_cannot_be_kept_is_told, forget),
		cmocka_unit_test(whatever_ends_the_desk_the_file_is_whole),
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(what_is_not_understood_is_left_out),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
