/*
 * Static files: h2o's own file handler (ranges, ETags, types), behind a guard that lets it see only
 * what is really below the directory.
 */
#include "http/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

#define FILES_INDEX "index.html"

struct files_guard {
	h2o_handler_t super;
	const struct http_files *files;
	h2o_iovec_t *names; /* of headers */
	h2o_headers_command_t *headers;
};

/* What h2o will open for PATH, which is below the guard's; false if that is too long. */
static bool local_path(
	const struct files_guard *guard, h2o_iovec_t path, char *local, size_t local_bytes)
{
	size_t prefix_bytes = strlen(guard->files->path);
	int len_bytes = snprintf(local, local_bytes, "%s%.*s%s", guard->files->directory,
		(int)(path.len - prefix_bytes), path.base + prefix_bytes,
		path.base[path.len - 1] == '/' ? FILES_INDEX : "");

	return len_bytes >= 0 && (size_t)len_bytes < local_bytes;
}

/* Whether LOCAL, all links followed, is DIRECTORY or below it. REAL is PATH_MAX long. */
static bool is_inside(const char *directory, const char *local, char *real)
{
	char root[PATH_MAX];
	size_t root_bytes;

	if (!realpath(directory, root) || !realpath(local, real))
		return false;
	root_bytes = strlen(root);
	return strncmp(real, root, root_bytes) == 0 &&
	       (real[root_bytes] == '/' || real[root_bytes] == '\0');
}

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
	const struct files_guard *guard = (const struct files_guard *)self;
	char local[PATH_MAX], real[PATH_MAX];
	struct stat st;

	if (http_router_refuse_malformed(req))
		return 0;
	/* Regular, or opening it could block the loop; of a directory h2o adds the missing slash. */
	if (!local_path(guard, req->path_normalized, local, sizeof(local)) ||
		!is_inside(guard->files->directory, local, real) || stat(real, &st) != 0 ||
		(!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		http_response_refuse(req, 404, NULL, "There is no such file.\n");
		return 0;
	}
	if (access(real, R_OK) != 0) {
		http_response_refuse(req, 403, NULL,
			"This file may not be read here. Where it lies, type: chmod a+r and its "
			"name.\n");
		return 0;
	}
	return -1; /* h2o's handler is next */
}

static void dispose(h2o_handler_t *self)
{
	struct files_guard *guard = (struct files_guard *)self;

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
	guard->files = files;
	add_headers(guard, path);
	h2o_file_register(path, files->directory, index_files, types, 0);
	h2o_mem_release_shared(types);
}
