#include "desk/guard.h"

#include <string.h>
#include <strings.h>

static const char own_names[] = "localhost,127.0.0.1,[::1]";
static const char stack_names[] = "desk,health";
static const char *more_names = "";

static const char not_own_name[] =
	"The desk is not known by that name: open it as http://localhost and its port, or add the "
	"name to the setting DESK_HOSTS.\n";
static const char not_own_page[] =
	"Only a page of the desk's own may change something. In a shell, add: "
	"-H 'Sec-Fetch-Site: same-origin'\n";
static const char not_own_part[] =
	"Another site's page may lead to the desk, but not show or fetch what is the desk's.\n";

/* The bytes of HOST's name, without the port; 0 where it is malformed. */
static size_t measure_name(const char *host)
{
	const char *bracket = host[0] == '[' ? strchr(host, ']') : NULL;
	size_t len_bytes = bracket ? (size_t)(bracket + 1 - host) : strcspn(host, ":");
	const char *port = host + len_bytes;

	if (*port == ':')
		port += 1 + strspn(port + 1, "0123456789");
	return *port ? 0 : len_bytes;
}

static bool is_in(const char *names, const char *name, size_t len_bytes)
{
	for (;; names++) {
		size_t one_bytes = strcspn(names, ", ");

		if (one_bytes == len_bytes && strncasecmp(names, name, len_bytes) == 0)
			return true;
		names += one_bytes;
		if (!*names)
			return false;
	}
}

static bool is_own_host(const struct http_caller *caller)
{
	size_t len_bytes = caller->host ? measure_name(caller->host) : 0;

	if (len_bytes == 0)
		return false;
	if (is_in(own_names, caller->host, len_bytes) || is_in(more_names, caller->host, len_bytes))
		return true;
	return (strcmp(caller->path, "/metrics") == 0 || strcmp(caller->path, "/healthz") == 0) &&
	       is_in(stack_names, caller->host, len_bytes);
}

static bool is_own_page(const struct http_caller *caller)
{
	static const char scheme[] = "http://";

	if (caller->fetch_site)
		return strcmp(caller->fetch_site, "same-origin") == 0;
	return caller->origin && strncmp(caller->origin, scheme, strlen(scheme)) == 0 &&
	       strcasecmp(caller->origin + strlen(scheme), caller->host) == 0;
}

static bool is_part_of_another_page(const struct http_caller *caller)
{
	return caller->fetch_site && strcmp(caller->fetch_site, "same-origin") != 0 &&
	       strcmp(caller->fetch_site, "none") != 0 &&
	       !(caller->fetch_mode && strcmp(caller->fetch_mode, "navigate") == 0) &&
	       /* For pprof's pages, which count as nobody's: they are in a sandbox. */
	       strcmp(caller->path, "/favicon.ico") != 0;
}

int guard_check(const struct http_caller *caller, const char **sentence)
{
	if (!is_own_host(caller)) {
		*sentence = not_own_name;
		return 421;
	}
	if (caller->method == HTTP_POST && !is_own_page(caller)) {
		*sentence = not_own_page;
		return 403;
	}
	if (is_part_of_another_page(caller)) {
		*sentence = not_own_part;
		return 403;
	}
	return 0;
}

void guard_mount(struct http_server *server, const char *hosts)
{
	more_names = hosts;
	http_server_set_gate(server, guard_check);
}
