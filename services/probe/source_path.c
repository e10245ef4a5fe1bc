#include "probe/source_path.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* OUT[0..LEN) without its last name: "/a/b" -> "/a", "/a" -> "", "a" -> "". */
static size_t drop_last(const char *out, size_t len)
{
	while (len > 0 && out[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

/* Appends the names of PATH to OUT; the first of a relative path gets no '/' before it. */
static size_t append_names(char *out, size_t len, const char *path, bool absolute)
{
	while (*path) {
		size_t name_len = strcspn(path, "/");

		if (name_len == 2 && path[0] == '.' && path[1] == '.') {
			len = drop_last(out, len);
		} else if (name_len > 0 && !(name_len == 1 && path[0] == '.')) {
			if (len + 1 + name_len >= SOURCE_PATH_BYTES)
				return len;
			if (len > 0 || absolute)
				out[len++] = '/';
			memcpy(out + len, path, name_len);
			len += name_len;
		}
		path += name_len;
		path += strspn(path, "/");
	}
	return len;
}

void source_path_absolute(char out[SOURCE_PATH_BYTES], const char *directory, const char *file)
{
	bool file_absolute = file && file[0] == '/';
	bool absolute = file_absolute || (directory && directory[0] == '/');
	size_t len = 0;

	if (file && directory && !file_absolute)
		len = append_names(out, len, directory, absolute);
	if (file)
		len = append_names(out, len, file, absolute);
	out[len] = '\0';
}
