#include "leaks/pair.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "debug/debug.h"
#include "http/program.h"
#include "leaks/verdict.h"

#define LINE_NS (2 * CLOCK_NS_PER_SEC)
#define BEHIND_MAX_NS CLOCK_NS_PER_SEC
#define SECONDS_MAX (24 * 60 * 60)
#define DRAIN_MS 500
#define POOL_WAIT_MS 100

struct run {
	const struct pair *pair;
	uint16_t server_port;
	FILE *out;
	int64_t start_ns, act_ns, line_ns; /* when it began, and what is due when */
	struct pair_counts counts;
	struct verdict_looks looks;
	enum verdict said;
};

static int measure(const struct run *run, struct measure *now)
{
	int err = measure_take(run->server_port, now);

	if (err)
		log_printf("cannot read /proc/self: %s", strerror(-err));
	return err;
}

static void say_verdict(struct run *run, const struct measure *now)
{
	enum verdict verdict = verdict_look(&run->looks, run->pair->held(now), run->counts.taken);

	if (verdict != run->said && verdict == VERDICT_LEAK)
		fprintf(run->out, "\nWARNING: %s\n", run->pair->leak);
	if (verdict != run->said && verdict == VERDICT_NO_LEAK)
		fprintf(run->out, "No leak! %s\n", run->pair->no_leak);
	run->said = verdict;
}

static void say_line(struct run *run)
{
	struct measure now;
	int64_t now_ns = clock_monotonic_ns(), line_ns;

	/* Of several that were missed, the last. */
	do {
		line_ns = run->line_ns;
		run->line_ns += LINE_NS;
	} while (run->line_ns <= now_ns);
	if (measure(run, &now) != 0)
		return;
	fprintf(run->out, "[AFTER %llds] ",
		(long long)((line_ns - run->start_ns) / CLOCK_NS_PER_SEC));
	run->pair->say_state(run->out, &now, &run->counts);
	say_verdict(run, &now);
}

static int say_start(struct run *run)
{
	struct measure now;
	int err = measure(run, &now);

	if (err)
		return err;
	verdict_begin(&run->looks, run->pair->held(&now), 0);
	fputs("[START] ", run->out);
	run->pair->say_start(run->out, &now);
	return 0;
}

static void say_end(const struct run *run)
{
	struct measure now;

	if (measure(run, &now) != 0)
		return;
	fprintf(run->out,
		"[END] descriptors=%lld connections=%lld threads=%lld rss_kib=%lld taken=%lld "
		"given_back=%lld failures=%lld\n",
		(long long)now.fd_count, (long long)now.connection_count,
		(long long)now.thread_count, (long long)now.rss_kib, (long long)run->counts.taken,
		(long long)run->counts.given_back, (long long)run->counts.failures);
}

/* Returns 0, or the error that ends the program. */
static int act_in_time(struct run *run)
{
	int result = run->pair->act(&run->counts);
	int64_t now_ns = clock_monotonic_ns();

	run->act_ns += CLOCK_NS_PER_SEC / run->pair->per_second;
	if (result > 0)
		run->act_ns = now_ns + result * CLOCK_NS_PER_MS;
	else if (now_ns - run->act_ns > BEHIND_MAX_NS)
		run->act_ns = now_ns;
	return result < 0 ? result : 0;
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

int pair_run(const struct pair *pair, const struct pair_settings *settings, uint16_t server_port,
	FILE *out)
{
	struct run run = {.pair = pair, .server_port = server_port, .out = out};
	int64_t end_ns = INT64_MAX;
	int result = say_start(&run);

	run.start_ns = clock_monotonic_ns();
	run.act_ns = run.start_ns + CLOCK_NS_PER_SEC / pair->per_second;
	run.line_ns = run.start_ns + LINE_NS;
	if (settings->seconds)
		end_ns = run.start_ns + settings->seconds * CLOCK_NS_PER_SEC;
	while (!result) {
		/* At the same moment in this order: a line has what was due until then. */
		int64_t due_ns = earlier(run.act_ns, earlier(run.line_ns, end_ns));

		result = program_await_end_until(due_ns);
		if (result)
			break;
		if (run.act_ns == due_ns)
			result = act_in_time(&run);
		else if (run.line_ns == due_ns)
			say_line(&run);
		else
			break;
	}
	if (result >= 0)
		say_end(&run);
	return result;
}

/* ---- the program ---- */

static struct {
	struct http_server *server;
	struct http_pool *debug;
} plane;

static int start_plane(const struct program *program, const struct pair_settings *settings)
{
	const struct http_server_config config = {
		.listen = settings->listen, .loop_count = 1, .name = "sickbay"};
	int err = http_server_create(&config, &plane.server);

	if (err) {
		program_explain_listen(program, settings->listen, err);
		return err;
	}
	err = http_pool_create(&(struct http_pool_config){.name = "debug",
				       .thread_count = 2,
				       .queue_max = 64,
				       .on_thread_start = debug_observe_thread},
		&plane.debug);
	if (!err) {
		debug_mount(plane.server, plane.debug);
		err = http_server_start(plane.server);
	}
	if (err)
		log_printf("cannot start: %s", strerror(-err));
	return err;
}

static void stop_plane(void)
{
	http_server_stop(plane.server, DRAIN_MS);
	http_pool_stop(plane.debug, POOL_WAIT_MS);
}

static int run(const struct pair *pair, const struct pair_settings *settings)
{
	int result = pair->begin(settings);

	if (result)
		return result;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("pprof server running on http://localhost:%u\n", http_server_port(plane.server));
	result = pair_run(pair, settings, http_server_port(plane.server), stdout);
	pair->end();
	return result;
}

int pair_main(const struct pair *pair, int argc, char **argv)
{
	const struct config_entry entries[] = {
		{"LEAKS_LISTEN", CONFIG_STRING, offsetof(struct pair_settings, listen),
			pair->variant->listen, 0, 0, "address and port of the debug server"},
		{"LEAKS_SECONDS", CONFIG_INT, offsetof(struct pair_settings, seconds), "0", 0,
			SECONDS_MAX, "seconds to run; 0: until a signal ends it"},
		{"LEAKS_UPSTREAM", CONFIG_STRING, offsetof(struct pair_settings, upstream),
			"http://127.0.0.1:8080", 0, 0, "whom the HTTP pair asks for events"},
	};
	const struct program program = {pair->variant->name, pair->variant->does, entries,
		sizeof(entries) / sizeof(entries[0]), NULL};
	struct pair_settings settings;
	int status = program_options(&program, argc, argv, &settings);
	int result;

	if (status != PROGRAM_GOES_ON)
		return status;
	program_block_signals();
	debug_init();
	if (start_plane(&program, &settings) != 0)
		return EXIT_FAILURE;
	result = run(pair, &settings);
	stop_plane();
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
