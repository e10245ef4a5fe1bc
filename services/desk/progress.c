#include "desk/progress.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_BYTES (64 * 1024)

bool progress_is_name(const char *name)
{
	size_t len_bytes = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len_bytes > 3 && len_bytes < PROGRESS_NAME_BYTES && name[len_bytes] == '\0' &&
	       isdigit((unsigned char)name[0]) && isdigit((unsigned char)name[1]) && name[2] == '-';
}

struct progress_lab *progress_of(struct progress *progress, const char *name)
{
	struct progress_lab *lab;

	for (size_t i = 0; i < progress->count; i++)
		if (strcmp(progress->labs[i].name, name) == 0)
			return &progress->labs[i];
	if (progress->count == PROGRESS_LABS_MAX)
		return NULL;
	lab = &progress->labs[progress->count++];
	*lab = (struct progress_lab){.answered = false};
	snprintf(lab->name, sizeof(lab->name), "%s", name);
	return lab;
}

/* LINE is cut into its words. */
static void read_line(char *line, struct progress *progress)
{
	const char *word = strsep(&line, " ");
	struct progress_lab *lab = progress_is_name(word) ? progress_of(progress, word) : NULL;

	while (lab && (word = strsep(&line, " "))) {
		lab->answered |= strcmp(word, "answered") == 0;
		lab->verified |= strcmp(word, "verified") == 0;
	}
}

int progress_load(const char *path, struct progress *progress)
{
	struct strbuf text = STRBUF_INIT;
	int err = strbuf_read_file(&text, path, FILE_MAX_BYTES);
	char *rest = err ? NULL : text.data, *line;

	while ((line = strsep(&rest, "\n")))
		read_line(line, progress);
	strbuf_free(&text);
	return err == -ENOENT ? 0 : err;
}

static int write_synced(const char *path, const struct strbuf *text)
{
	int err = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t written_bytes;

	if (fd < 0)
		return -errno;
	written_bytes = write(fd, text->data, text->len_bytes);
	if (written_bytes < 0)
		err = -errno;
	else if ((size_t)written_bytes != text->len_bytes)
		err = -ENOSPC; /* of a file so small */
	if (!err && fsync(fd) != 0)
		err = -errno;
	if (close(fd) != 0 && !err)
		err = -errno;
	return err;
}

int progress_save(const char *path, const struct progress *progress)
{
	struct strbuf text = STRBUF_INIT;
	char beside[PATH_MAX];
	int err;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside))
		return -ENAMETOOLONG;
	strbuf_reserve(&text, 1);
	for (size_t i = 0; i < progress->count; i++) {
		const struct progress_lab *lab = &progress->labs[i];

		if (lab->answered || lab->verified)
			strbuf_printf(&text, "%s%s%s\n", lab->name,
				lab->answered ? " answered" : "", lab->verified ? " verified" : "");
	}
	err = write_synced(beside, &text);
	if (!err && rename(beside, path) != 0)
		err = -errno;
	if (err)
		unlink(beside);
	strbuf_free(&text);
	return err;
}

void progress_add_json(const struct progress *progress, struct strbuf *out)
{
	strbuf_puts(out, "{\"labs\":{");
	for (size_t i = 0; i < progress->count; i++) {
		const struct progress_lab *lab = &progress->labs[i];

		strbuf_printf(out, "%s\"%s\":{\"answered\":%s,\"verified\":%s}", i ? "," : "",
			lab->name, lab->answered ? "true" : "false",
			lab->verified ? "true" : "false");
	}
	strbuf_puts(out, "}}");
}
