/* The desk: the page that a browser opens, and the viewer of traces behind it. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "debug/debug.h"
#include "desk/capture_news.h"
#include "desk/capture_routes.h"
#include "desk/capture_taker.h"
#include "desk/controls.h"
#include "desk/guard.h"
#include "desk/hub.h"
#include "desk/labs.h"
#include "desk/pages.h"
#include "desk/patient.h"
#include "desk/pprof.h"
#include "desk/pprof_routes.h"
#include "desk/requests.h"
#include "desk/source.h"
#include "desk/threads.h"
#include "desk/vitals.h"
#include "http/program.h"

#define DRAIN_MS 1000
#define POOL_WAIT_MS 100

struct settings {
	const char *listen, *hosts, *patient, *recorder, *sources, *pprof;
	int64_t captures_max_mib;
	struct pages_config pages;
	struct labs_config labs;
};

#define SETTING(field) offsetof(struct settings, field)

static const struct config_entry entries[] = {
	{"DESK_LISTEN", CONFIG_STRING, SETTING(listen), "127.0.0.1:8000", 0, 0,
		"address and port to listen on"},
	{"DESK_HOSTS", CONFIG_STRING, SETTING(hosts), "", 0, 0,
		"more names that it is opened by, divided by commas"},
	{"DESK_PATIENT", CONFIG_STRING, SETTING(patient), "http://127.0.0.1:6060", 0, 0,
		"base URL of the patient"},
	{"DESK_RECORDER", CONFIG_STRING, SETTING(recorder), "/run/recorder/socket", 0, 0,
		"socket of the kernel's recorder, which need not be there"},
	{"DESK_CAPTURES", CONFIG_STRING, SETTING(pages.captures), "profiles/captures", 0, 0,
		"directory of the captures"},
	{"DESK_CAPTURES_MAX_MIB", CONFIG_INT, SETTING(captures_max_mib), "1024", 1, 1 << 20,
		"how much the captures may fill, in MiB; nothing is deleted for it"},
	{"DESK_PPROF", CONFIG_STRING, SETTING(pprof), "pprof", 0, 0,
		"the pprof that shows captures, by its name in PATH or its path"},
	{"DESK_WWW", CONFIG_STRING, SETTING(pages.www), "services/desk/www", 0, 0,
		"directory of the pages"},
	{"DESK_VIEWER", CONFIG_STRING, SETTING(pages.viewer), "build/viewer", 0, 0,
		"directory of the viewer's engine; docker/viewer.sh fills it"},
	{"DESK_LABS", CONFIG_STRING, SETTING(pages.labs), "build/labs", 0, 0,
		"directory of the workshop's texts; docker/labs/render fills it"},
	{"DESK_PORTS", CONFIG_STRING, SETTING(pages.ports), "{}", 0, 0,
		"ports that the texts name and where they are found, {\"8000\": 20010}"},
	{"DESK_SOURCES", CONFIG_STRING, SETTING(sources), ".", 0, 0,
		"directory that holds the patient's services/"},
	{"DESK_ANSWERS", CONFIG_STRING, SETTING(labs.answers), "workshop/labs", 0, 0,
		"directory of the labs' answers"},
	{"DESK_PROGRESS", CONFIG_STRING, SETTING(labs.progress), "build/progress", 0, 0,
		"file in which the attendee's progress is kept"},
};

static const struct program program = {"sickbay-desk",
	"the page of captures, and the viewer of traces.", entries,
	sizeof(entries) / sizeof(entries[0]), NULL};

static struct {
	struct http_server *server;
	struct http_pool *pages, *controls, *dumps, *pprof, *debug;
	struct capture_store store;
} desk;

static const struct {
	struct http_pool **pool;
	struct http_pool_config config;
} pools[] = {
	{&desk.pages, {.name = "page", .thread_count = 2, .queue_max = 256}},
	{&desk.controls, {.name = "control", .thread_count = 2, .queue_max = 32}},
	{&desk.dumps, {.name = "dump", .thread_count = 2, .queue_max = 16}},
	{&desk.pprof, {.name = "pprof", .thread_count = PPROF_SESSIONS_MAX, .queue_max = 64}},
	{&desk.debug, {"debug", 2, 64, debug_observe_thread}},
};

#define POOL_COUNT (sizeof(pools) / sizeof(pools[0]))

static int start_pools(void)
{
	int err = 0;

	for (size_t i = 0; i < POOL_COUNT && !err; i++)
		err = http_pool_create(&pools[i].config, pools[i].pool);
	return err;
}

/* What speaks with the patient. */
static int start_patient(const struct settings *settings)
{
	int err = patient_start(settings->patient);

	if (!err)
		err = requests_start(settings->patient);
	if (!err)
		err = controls_mount(desk.server, desk.controls, settings->patient);
	if (!err)
		err = threads_mount(desk.server, desk.dumps, settings->patient);
	if (err == -EINVAL)
		log_printf("DESK_PATIENT=%s is no address: write it as http://HOST:PORT",
			settings->patient);
	vitals_mount(desk.server);
	return err;
}

static int start_captures(const struct settings *settings)
{
	const struct capture_taker_config taker = {.patient = settings->patient,
		.recorder = settings->recorder,
		.store = &desk.store,
		.on_end = capture_news_tell_end};
	int err;

	desk.store = (struct capture_store){.directory = settings->pages.captures,
		.max_bytes = settings->captures_max_mib << 20};
	pprof_init(&(struct pprof_config){.program = settings->pprof,
		.captures = settings->pages.captures,
		.sources = settings->sources});
	capture_routes_mount(desk.server, desk.pages, &desk.store);
	pprof_routes_mount(desk.server, desk.pprof);
	err = capture_taker_start(&taker);
	return err ? err : capture_news_start(&desk.store);
}

static int start(const struct settings *settings)
{
	const struct http_server_config config = {.listen = settings->listen, .name = "sickbay"};
	int err = http_server_create(&config, &desk.server);

	if (err) {
		program_explain_listen(&program, settings->listen, err);
		return err;
	}
	err = start_pools();
	if (!err) {
		guard_mount(desk.server, settings->hosts);
		debug_mount(desk.server, desk.debug);
		hub_mount(desk.server, HUB_STALL_MS);
		pages_mount(desk.server, &settings->pages);
		labs_mount(desk.server, desk.pages, &settings->labs);
		source_mount(desk.server, desk.pages, settings->sources);
		err = start_patient(settings);
	}
	if (!err)
		err = start_captures(settings);
	if (!err)
		err = http_server_start(desk.server);
	if (err)
		log_printf("cannot start: %s", strerror(-err));
	return err;
}

int main(int argc, char **argv)
{
	struct settings settings;
	int status = program_options(&program, argc, argv, &settings);

	if (status != PROGRAM_GOES_ON)
		return status;
	program_block_signals();
	log_printf("Desk started with PID %d", (int)getpid());
	debug_init();
	if (start(&settings) != 0)
		return EXIT_FAILURE;
	log_printf("HTTP server started on %s", program_spell_listen(settings.listen));
	log_printf("%s: draining", strsignal(program_await_end()));
	hub_stop();
	controls_stop();
	http_server_stop(desk.server, DRAIN_MS);
	requests_stop();
	patient_stop();
	threads_stop();
	capture_taker_stop();
	capture_news_stop();
	pprof_stop();
	for (size_t i = 0; i < POOL_COUNT; i++)
		http_pool_stop(*pools[i].pool, POOL_WAIT_MS);
	log_puts("Desk stopped");
	return EXIT_SUCCESS;
}
