/* Dies loudly: a server that cannot get a few bytes for itself has nothing sensible left to do. */
#include "common/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No stdio here: it may want memory itself. */
static _Noreturn void die(const char *sentence)
{
	ssize_t written = write(STDERR_FILENO, sentence, strlen(sentence));

	(void)written;
	abort();
}

static void *check(void *ptr)
{
	if (!ptr)
		die("out of memory\n");
	return ptr;
}

/* malloc(0) and realloc(p, 0) may answer NULL without being out of memory. */
static size_t at_least_one(size_t size_bytes)
{
	return size_bytes ? size_bytes : 1;
}

void *xmalloc(size_t size_bytes)
{
	return check(malloc(at_least_one(size_bytes)));
}

void *xcalloc(size_t count, size_t size_bytes)
{
	/* calloc() itself refuses a product that overflows. */
	return check(calloc(at_least_one(count), at_least_one(size_bytes)));
}

void *xrealloc(void *ptr, size_t count, size_t size_bytes)
{
	size_t total_bytes;

	if (__builtin_mul_overflow(count, size_bytes, &total_bytes))
		die("allocation size overflows\n");
	return check(realloc(ptr, at_least_one(total_bytes)));
}

char *xstrdup(const char *text)
{
	return check(strdup(text));
}
