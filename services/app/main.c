/* The patient: reads its settings, starts, waits for a signal, drains. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/handlers.h"
#include "app/metrics.h"
#include "app/step.h"
#include "client/client.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/log.h"
#include "debug/debug.h"
#include "http/program.h"

#define DRAIN_MS 1000 /* leaving the step included; the rest of the promised 2 s is for closing */
#define POOL_WAIT_MS 100
#define DEBUG_THREADS 3
#define DEBUG_QUEUE 256
#define CONTROL_QUEUE 64

struct settings {
	const char *listen, *variant, *upstream;
	int64_t step, nofile, loops, workers, queue;
};

#define SETTING(field) offsetof(struct settings, field)

static const struct config_entry entries[] = {
	{"APP_LISTEN", CONFIG_STRING, SETTING(listen), "127.0.0.1:6060", 0, 0,
		"address and port to listen on"},
	{"APP_STEP", CONFIG_INT, SETTING(step), "0", 0, STEP_COUNT - 1, "step to start with"},
	{"APP_VARIANT", CONFIG_STRING, SETTING(variant), "leaky", 0, 0,
		"variant of that step: leaky or fixed"},
	{"APP_UPSTREAM", CONFIG_STRING, SETTING(upstream), "http://127.0.0.1:8080", 0, 0,
		"the service that step 7 calls"},
	{"APP_NOFILE", CONFIG_INT, SETTING(nofile), NULL, 32, 1048576,
		"soft limit of open files, at most the hard one; unset: as it is"},
	{"APP_LOOPS", CONFIG_INT, SETTING(loops), "0", 0, 64, "event loops; 0: one per core"},
	{"APP_WORKERS", CONFIG_INT, SETTING(workers), "16", 1, 1024,
		"business threads, for steps that may block"},
	{"APP_QUEUE", CONFIG_INT, SETTING(queue), "1024", 1, 65536,
		"requests that may wait for a business thread"},
};

static struct {
	struct http_server *server;
	struct http_pool *business, *control, *debug;
} app;

static void print_steps(void)
{
	puts("\nSteps:\n");
	for (int step = 0; step < STEP_COUNT; step++)
		printf("  %d  %-15s  %s\n", step, step_fault(step)->name, step_fault(step)->does);
}

static const struct program program = {"sickbay-app",
	"a C server with staged faults, and a debug plane to find them with.", entries,
	sizeof(entries) / sizeof(entries[0]), print_steps};

static int lower_nofile(int64_t wanted)
{
	struct rlimit limit;

	if (wanted == INT64_MIN)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	if ((rlim_t)wanted > limit.rlim_max) {
		fprintf(stderr, "APP_NOFILE is %lld, but the hard limit of open files is %llu\n",
			(long long)wanted, (unsigned long long)limit.rlim_max);
		return -EINVAL;
	}
	limit.rlim_cur = (rlim_t)wanted;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : -errno;
}

static int start_pools(const struct settings *settings)
{
	int err = http_pool_create(&(struct http_pool_config){.name = "worker",
					   .thread_count = (unsigned)settings->workers,
					   .queue_max = (unsigned)settings->queue},
		&app.business);

	if (err)
		return err;
	/* Of ordinary threads: what a fault starts when it is entered is the patient's own. */
	err = http_pool_create(
		&(struct http_pool_config){
			.name = "control", .thread_count = 1, .queue_max = CONTROL_QUEUE},
		&app.control);
	if (err)
		return err;
	return http_pool_create(&(struct http_pool_config){.name = "debug",
					.thread_count = DEBUG_THREADS,
					.queue_max = DEBUG_QUEUE,
					.on_thread_start = debug_observe_thread},
		&app.debug);
}

static int start(const struct settings *settings)
{
	const struct http_server_config config = {.listen = settings->listen,
		.loop_count = (unsigned)settings->loops,
		.name = "sickbay"};
	bool fixed = strcmp(settings->variant, "fixed") == 0;
	int err;

	err = http_server_create(&config, &app.server);
	if (err) {
		program_explain_listen(&program, settings->listen, err);
		return err;
	}
	fault_upstream_url = settings->upstream;
	err = start_pools(settings);
	if (!err)
		err = step_switch((int)settings->step, fixed);
	if (!err) {
		debug_mount(app.server, app.debug);
		debug_metrics_add(metrics_collect);
		handlers_mount(app.server, app.business, app.control);
		err = http_server_start(app.server);
	}
	if (err)
		log_printf("cannot start: %s", strerror(-err));
	return err;
}

static unsigned ms_until(int64_t end_ns)
{
	int64_t left_ns = end_ns - clock_monotonic_ns();

	return left_ns > 0 ? (unsigned)(left_ns / CLOCK_NS_PER_MS) : 0;
}

static void drain(int signal)
{
	int64_t end_ns = clock_monotonic_ns() + DRAIN_MS * CLOCK_NS_PER_MS;

	log_printf("%s: draining", strsignal(signal));
	/* Leaving the step lets requests that hang in it answer. */
	if (step_switch(0, false) != 0)
		log_puts("some requests of the step did not end");
	http_server_stop(app.server, ms_until(end_ns));
	http_pool_stop(app.business, POOL_WAIT_MS);
	http_pool_stop(app.control, POOL_WAIT_MS);
	http_pool_stop(app.debug, POOL_WAIT_MS);
}

static int serve(const struct settings *settings)
{
	program_block_signals();
	if (sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) != 0)
		return -errno;

	log_printf("Application started with PID %d", (int)getpid());
	debug_init();
	if (start(settings) != 0)
		return -1;
	log_printf("HTTP server started on %s", program_spell_listen(settings->listen));
	drain(program_await_end());
	log_puts("Application stopped");
	return 0;
}

static int check(const struct settings *settings)
{
	if (strcmp(settings->variant, "leaky") != 0 && strcmp(settings->variant, "fixed") != 0) {
		fprintf(stderr, "APP_VARIANT must be leaky or fixed\n");
		return -EINVAL;
	}
	if (!client_is_base_url(settings->upstream)) {
		fprintf(stderr, "APP_UPSTREAM must be like http://upstream:8080, without a path\n");
		return -EINVAL;
	}
	return lower_nofile(settings->nofile);
}

int main(int argc, char **argv)
{
	struct settings settings;
	int status = program_options(&program, argc, argv, &settings);

	if (status != PROGRAM_GOES_ON)
		return status;
	if (check(&settings) != 0)
		return 2;
	return serve(&settings) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
