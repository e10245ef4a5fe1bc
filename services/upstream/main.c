/* Upstream: the service that the patient calls, and whose answers never end. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nofile.h"
#include "debug/debug.h"
#include "http/program.h"
#include "upstream/feed.h"

#define DRAIN_MS 1000
#define POOL_WAIT_MS 100

struct settings {
	const char *listen;
	int64_t feeds_max;
};

#define SETTING(field) offsetof(struct settings, field)

static const struct config_entry entries[] = {
	{"UPSTREAM_LISTEN", CONFIG_STRING, SETTING(listen), "0.0.0.0:8080", 0, 0,
		"address and port to listen on"},
	{"UPSTREAM_FEEDS_MAX", CONFIG_INT, SETTING(feeds_max), "8000", 1, 1000000,
		"feeds that may be open; each takes a descriptor"},
};

static const struct program program = {"sickbay-upstream",
	"a service whose answers never end, for the patient to call.", entries,
	sizeof(entries) / sizeof(entries[0]), NULL};

static struct {
	struct http_server *server;
	struct http_pool *debug;
} upstream;

static int start(const struct settings *settings)
{
	const struct http_server_config config = {.listen = settings->listen, .name = "sickbay"};
	int err = http_server_create(&config, &upstream.server);

	if (err) {
		program_explain_listen(&program, settings->listen, err);
		return err;
	}
	err = http_pool_create(&(struct http_pool_config){.name = "debug",
				       .thread_count = 2,
				       .queue_max = 64,
				       .on_thread_start = debug_observe_thread},
		&upstream.debug);
	if (!err) {
		debug_mount(upstream.server, upstream.debug);
		debug_metrics_add(feed_collect);
		feed_mount(upstream.server, (unsigned)settings->feeds_max);
		err = http_server_start(upstream.server);
	}
	if (err)
		log_printf("cannot start: %s", strerror(-err));
	return err;
}

static void raise_limit(void)
{
	int err = nofile_raise();

	if (err)
		log_printf("the limit of open files stays as it is: %s", strerror(-err));
}

static void stop(void)
{
	struct feed_counts counts = feed_counts();

	http_server_stop(upstream.server, DRAIN_MS);
	http_pool_stop(upstream.debug, POOL_WAIT_MS);
	log_printf("Upstream stopped; requests: %" PRIu64 ", events sent: %" PRIu64
		   ", feeds that were open: %u",
		counts.request_count, counts.event_count, counts.open_count);
}

int main(int argc, char **argv)
{
	struct settings settings;
	int status = program_options(&program, argc, argv, &settings);

	if (status != PROGRAM_GOES_ON)
		return status;
	program_block_signals();
	log_printf("Upstream started with PID %d", (int)getpid());
	raise_limit();
	debug_init();
	if (start(&settings) != 0)
		return EXIT_FAILURE;
	log_printf("HTTP server started on %s", program_spell_listen(settings.listen));
	log_printf("%s: draining", strsignal(program_await_end()));
	stop();
	return EXIT_SUCCESS;
}
