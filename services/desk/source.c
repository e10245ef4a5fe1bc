#include "desk/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "desk/pages.h"
#include "http/params.h"

#define NAME_BYTES_ALLOWED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/"
#define FOLDER "services/"
#define SOURCE_MAX_BYTES (1024 * 1024)

static const char *sources_directory;
static struct http_pool *source_pool;

bool source_is_name(const char *file)
{
	size_t len_bytes = strspn(file, NAME_BYTES_ALLOWED);

	return len_bytes < SOURCE_NAME_BYTES && file[len_bytes] == '\0' &&
	       len_bytes > strlen(FOLDER) && strncmp(file, FOLDER, strlen(FOLDER)) == 0 &&
	       !strstr(file, "/.") && !strstr(file, "//") && file[len_bytes - 1] != '/';
}

/* The folder is an image's, or the reader's own checkout: its links lead where they shall. */
static int read_source(const char *file, struct strbuf *out)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, result;

	snprintf(path, sizeof(path), "%s/%s", sources_directory, file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		result = -errno;
	else if (!S_ISREG(st.st_mode))
		result = -ENOENT;
	else
		result = strbuf_read_fd(out, fd, SOURCE_MAX_BYTES);
	close(fd);
	return result;
}

static void source_work(struct http_job *job)
{
	struct strbuf out = STRBUF_INIT;
	char file[SOURCE_NAME_BYTES];
	int err;

	if (params_string(http_query(job), "file", "", file, sizeof(file)) != 0 ||
		!source_is_name(file)) {
		http_reply_text(job, 400,
			"file must be a path below services/, such as "
			"file=services/app/faults/mutex.c");
		return;
	}
	err = read_source(file, &out);
	if (err) {
		http_reply_text(job, err == -ENOENT || err == -ENOTDIR ? 404 : 500,
			"%s cannot be read among the sources here: %s.", file, strerror(-err));
		strbuf_free(&out);
		return;
	}
	http_reply_strbuf(job, 200, "text/plain; charset=utf-8", &out);
}

static void source(struct http_job *job)
{
	pages_add_headers(job);
	http_submit_or_refuse(job, source_pool, source_work);
}

void source_mount(struct http_server *server, struct http_pool *pool, const char *directory)
{
	static const struct http_route route = {"/source", HTTP_GET, source, NULL};

	source_pool = pool;
	sources_directory = directory;
	http_server_add_routes(server, &route, 1);
}
