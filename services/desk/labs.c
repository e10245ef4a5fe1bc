#include "desk/labs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "desk/answer.h"
#include "desk/hub.h"
#include "desk/pages.h"
#include "desk/progress.h"
#include "http/params.h"

#define ANSWER_FILE_MAX_BYTES (64 * 1024)

static const char wrong[] =
	"That is not it, or not all of it: the function whose fault it is, and what it leaks, burns, "
	"churns or holds.";

/* Set by labs_mount(). */
static char *texts[PROGRESS_LABS_MAX]; /* of the answer files, in the order of progress.labs */
static size_t lab_count;
static const char *progress_path;
static struct http_pool *labs_pool;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards progress, and its file */
static struct progress progress;

/* ---- which lab ---- */

static int find_by_name(const char *name)
{
	for (size_t i = 0; i < lab_count; i++)
		if (strcmp(progress.labs[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

static int find_by_line(const char *key, const char *value)
{
	for (size_t i = 0; i < lab_count; i++)
		if (answer_has(texts[i], key, value))
			return (int)i;
	return -ENOENT;
}

/* Returns the number of the lab that FIELDS name; -EINVAL, -ENOENT. */
static int find_lab(const char *fields)
{
	static const char *const keys[] = {"lab", "step", "pair"};
	char value[PROGRESS_NAME_BYTES];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (params_string(fields, keys[i], "", value, sizeof(value)) != 0)
			return -ENOENT;
		if (*value)
			return i == 0 ? find_by_name(value) : find_by_line(keys[i], value);
	}
	return -EINVAL;
}

static void reply_no_lab(struct http_job *job, int err)
{
	if (err == -EINVAL)
		http_reply_text(job, 400,
			"Which lab? Give lab, step or pair, such as step=3 or pair=file.");
	else
		http_reply_text(job, 404, "There is no such lab here.");
}

/* ---- progress ---- */

static void publish(void)
{
	struct strbuf json = STRBUF_INIT;

	progress_add_json(&progress, &json);
	hub_publish("progress", &json);
	strbuf_free(&json);
}

/* Keeps what MARK makes of progress, and tells. Returns 0 or -errno. */
static int change(void (*mark)(int lab), int lab)
{
	int err;

	pthread_mutex_lock(&lock);
	mark(lab);
	err = progress_save(progress_path, &progress);
	publish();
	pthread_mutex_unlock(&lock);
	if (err)
		log_printf("cannot keep progress in %s: %s", progress_path, strerror(-err));
	return err;
}

static void mark_answered(int lab)
{
	progress.labs[lab].answered = true;
}

static void mark_verified(int lab)
{
	progress.labs[lab].verified = true;
}

static void forget(int unused)
{
	(void)unused;
	for (size_t i = 0; i < progress.count; i++)
		progress.labs[i].answered = progress.labs[i].verified = false;
}

/* ---- requests ---- */

static const char *fields_of(const struct http_job *job)
{
	size_t len_bytes;

	return http_body(job, &len_bytes);
}

static void reply_kept(struct http_job *job, int err, const char *sentence)
{
	if (err)
		http_reply_text(job, 500, "Progress cannot be kept: %s.", strerror(-err));
	else
		http_reply_text(job, 200, "%s", sentence);
}

static void reply_answer(struct http_job *job, bool is_right, const struct strbuf *text)
{
	struct strbuf json = STRBUF_INIT;

	strbuf_printf(&json, "{\"right\":%s,\"text\":\"", is_right ? "true" : "false");
	strbuf_json_escape(&json, text->data, text->len_bytes);
	strbuf_puts(&json, "\"}");
	http_reply_strbuf(job, 200, "application/json", &json);
}

static void judge(struct http_job *job, int lab, const char *function, const char *resource)
{
	struct strbuf text = STRBUF_INIT;
	bool is_right = answer_is_right(texts[lab], function, resource);
	int err;

	if (is_right) {
		strbuf_puts(&text, "Right.");
		answer_add_seen(texts[lab], &text);
		err = change(mark_answered, lab);
		if (err)
			strbuf_printf(&text, "\nYour progress cannot be kept: %s.", strerror(-err));
	} else {
		strbuf_puts(&text, wrong);
	}
	reply_answer(job, is_right, &text);
	strbuf_free(&text);
}

/* What is too long to be an answer is none. */
static void get_word(const char *fields, const char *key, char word[ANSWER_BYTES])
{
	if (params_string(fields, key, "", word, ANSWER_BYTES) != 0)
		*word = '\0';
}

static void answer_work(struct http_job *job)
{
	char function[ANSWER_BYTES], resource[ANSWER_BYTES];
	int lab = find_lab(fields_of(job));

	get_word(fields_of(job), "function", function);
	get_word(fields_of(job), "resource", resource);
	if (lab < 0)
		reply_no_lab(job, lab);
	else
		judge(job, lab, function, resource);
}

static void verified_work(struct http_job *job)
{
	int lab = find_lab(fields_of(job));

	if (lab < 0)
		reply_no_lab(job, lab);
	else
		reply_kept(job, change(mark_verified, lab), "Noted.");
}

static void forget_work(struct http_job *job)
{
	reply_kept(job, change(forget, 0), "All progress is forgotten.");
}

static void progress_work(struct http_job *job)
{
	struct strbuf json = STRBUF_INIT;

	pthread_mutex_lock(&lock);
	progress_add_json(&progress, &json);
	pthread_mutex_unlock(&lock);
	http_reply_strbuf(job, 200, "application/json", &json);
}

static void on_request(struct http_job *job)
{
	http_work *const *work = http_context(job);

	if (http_submit(job, labs_pool, *work) != 0)
		http_reply_text(job, 503, "The desk has too much to do; try again in a moment.");
}

/* ---- at the start ---- */

/* Returns the text of DIRECTORY/NAME/answer, or NULL. */
static char *read_answers(const char *directory, const char *name)
{
	struct strbuf text = STRBUF_INIT;
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/%s/answer", directory, name);
	err = strbuf_read_file(&text, path, ANSWER_FILE_MAX_BYTES);
	if (!err && text.data)
		return strbuf_detach(&text);
	if (err && err != -ENOENT)
		log_printf("cannot read %s: %s", path, strerror(-err));
	strbuf_free(&text);
	return NULL;
}

static int is_lab(const struct dirent *entry)
{
	return progress_is_name(entry->d_name);
}

static void read_labs(const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_lab, alphasort);

	for (int i = 0; i < count; i++) {
		char *text = read_answers(directory, entries[i]->d_name);

		if (text && lab_count < PROGRESS_LABS_MAX) {
			texts[lab_count++] = text;
			(void)progress_of(&progress, entries[i]->d_name);
		} else {
			free(text);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

void labs_mount(
	struct http_server *server, struct http_pool *pool, const struct labs_config *config)
{
	static http_work *const works[] = {answer_work, verified_work, forget_work, progress_work};
	static const struct http_route routes[] = {
		{"/labs/answer", HTTP_POST, on_request, (void *)&works[0]},
		{"/labs/verified", HTTP_POST, on_request, (void *)&works[1]},
		{"/labs/forget", HTTP_POST, on_request, (void *)&works[2]},
		{"/labs/progress", HTTP_GET, on_request, (void *)&works[3]},
	};
	int err;

	labs_pool = pool;
	progress_path = config->progress;
	read_labs(config->answers);
	err = progress_load(progress_path, &progress);
	if (err)
		log_printf("cannot read progress in %s: %s", progress_path, strerror(-err));
	publish();
	http_server_add_routes(server, routes, sizeof(routes) / sizeof(routes[0]));
}
