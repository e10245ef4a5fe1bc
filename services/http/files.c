/*
 * Static files: h2o's own file handler (ranges, ETags, types), behind a guard that opens what it
 * serves. h2o opens by name, which may be another file by then; but it looks into its cache first,
 * and finds what the guard has opened and checked there.
 */
#include "http/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

#define FILES_INDEX "index.html"

struct files_guard {
	h2o_handler_t super;
	const struct http_server *server;
	const struct http_files *files;
	h2o_iovec_t root;       /* the directory, with a slash at its end */
	h2o_handler_t *guarded; /* h2o's */
	h2o_iovec_t *names;     /* of headers */
	h2o_headers_command_t *headers;
};

/* What h2o's handler will open for PATH, letter by letter; false if that is too long. */
static bool local_path(
	const struct files_guard *guard, h2o_iovec_t path, char *local, size_t local_bytes)
{
	size_t prefix_bytes = strlen(guard->files->path) + 1;
	int len_bytes = snprintf(local, local_bytes, "%s%.*s%s", guard->root.base,
		(int)(path.len - prefix_bytes), path.base + prefix_bytes,
		path.base[path.len - 1] == '/' ? FILES_INDEX : "");

	return len_bytes >= 0 && (size_t)len_bytes < local_bytes;
}

/* Whether what was opened, FD_LINK in /proc, is DIRECTORY or below it. */
static bool is_inside(const char *directory, const char *fd_link)
{
	char root[PATH_MAX], real[PATH_MAX];
	ssize_t real_bytes = readlink(fd_link, real, sizeof(real) - 1);
	size_t root_bytes;

	if (real_bytes < 0 || !realpath(directory, root))
		return false;
	real[real_bytes] = '\0';
	root_bytes = strlen(root);
	return strncmp(real, root, root_bytes) == 0 &&
	       (real[root_bytes] == '/' || real[root_bytes] == '\0');
}

/* Makes FD, which only names a file, one to read that very file. */
static int make_readable(int fd, const char *fd_link)
{
	int result = 0, readable = open(fd_link, O_RDONLY | O_CLOEXEC);

	if (readable < 0)
		return -errno;
	if (dup3(readable, fd, O_CLOEXEC) < 0)
		result = -errno;
	close(readable);
	return result;
}

/*
 * Opens LOCAL into CACHE. Returns 0 or -errno; -ENOENT for all that is not served. It is O_PATH
 * first: to open a pipe or a device could block the loop, or do something.
 */
static int open_into(h2o_filecache_t *cache, const char *directory, const char *local)
{
	h2o_filecache_ref_t *file = h2o_filecache_open_file(cache, local, O_PATH | O_CLOEXEC);
	char fd_link[32];
	int result = 0;

	if (!file)
		return -errno;
	snprintf(fd_link, sizeof(fd_link), "/proc/self/fd/%d", file->fd);
	if (!is_inside(directory, fd_link))
		result = -ENOENT;
	else if (S_ISREG(file->st.st_mode))
		result = make_readable(file->fd, fd_link);
	else if (!S_ISDIR(file->st.st_mode)) /* of a directory h2o adds the missing slash */
		result = -ENOENT;
	h2o_filecache_close_file(file); /* the cache has it still */
	return result;
}

static void refuse(h2o_req_t *req, int error)
{
	if (error == -EACCES)
		http_response_refuse(req, 403, NULL,
			"This file may not be read here. Where it lies, type: chmod a+r and its "
			"name.\n");
	else if (error == -EMFILE || error == -ENFILE)
		http_response_refuse(req, 503, NULL,
			"The server has no descriptor left to open the file; try again.\n");
	else
		http_response_refuse(req, 404, NULL, "There is no such file.\n");
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
	const struct files_guard *guard = (const struct files_guard *)self;
	h2o_filecache_t *cache = req->conn->ctx->filecache;
	char local[PATH_MAX];
	int error = -ENOENT;

	if (http_router_knows(guard->server, req->path_normalized))
		return http_router_serve(guard->server, req);
	if (http_router_refuse_early(guard->server, req))
		return 0;
	/* Shorter is the directory without its slash: h2o opens nothing, and adds it. */
	if (req->path_normalized.len == strlen(guard->files->path))
		return guard->guarded->on_req(guard->guarded, req);
	if (local_path(guard, req->path_normalized, local, sizeof(local)))
		error = open_into(cache, guard->files->directory, local);
	if (error)
		refuse(req, error);
	else
		(void)guard->guarded->on_req(guard->guarded, req);
	h2o_filecache_clear(cache); /* the next request looks anew */
	return 0;
}

static void dispose(h2o_handler_t *self)
{
	struct files_guard *guard = (struct files_guard *)self;

	free(guard->root.base);
	free(guard->names);
	free(guard->headers);
}

/* A filter, so that h2o's own errors have them too. */
static void add_headers(struct files_guard *guard, h2o_pathconf_t *path)
{
	const char *const *pairs = guard->files->headers;
	size_t count = 0;

	while (pairs && pairs[2 * count])
		count++;
	guard->names = xcalloc(count + 1, sizeof(*guard->names));
	guard->headers = xcalloc(count + 1, sizeof(*guard->headers)); /* the last one is empty */
	for (size_t i = 0; i < count; i++) {
		const char *name = pairs[2 * i], *value = pairs[2 * i + 1];

		guard->names[i] = h2o_iovec_init(name, strlen(name));
		guard->headers[i] = (h2o_headers_command_t){H2O_HEADERS_CMD_SET, &guard->names[i],
			h2o_iovec_init(value, strlen(value))};
	}
	h2o_headers_register(path, guard->headers);
}

/* Types that h2o does not know. */
static h2o_mimemap_t *create_types(void)
{
	h2o_mimemap_t *types = h2o_mimemap_create();

	h2o_mimemap_define_mimetype(types, "wasm", "application/wasm", NULL);
	return types;
}

void http_server_add_files(struct http_server *server, const struct http_files *files)
{
	static const char *index_files[] = {FILES_INDEX, NULL};
	h2o_pathconf_t *path = h2o_config_register_path(server->host, files->path, 0);
	h2o_mimemap_t *types = create_types();
	struct files_guard *guard;

	guard = (struct files_guard *)h2o_create_handler(path, sizeof(*guard));
	guard->super.on_req = on_request;
	guard->super.dispose = dispose;
	guard->server = server;
	guard->files = files;
	guard->root = h2o_strdup_slashed(NULL, files->directory, SIZE_MAX);
	add_headers(guard, path);
	guard->guarded = (h2o_handler_t *)h2o_file_register(
		path, files->directory, index_files, types, 0);
	h2o_mem_release_shared(types);
}
