#include "http/program.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "http/health.h"

#define PROGRAM_VERSION "0.1.0"
#define PROGRAM_MISUSED 2

static void print_help(const struct program *program)
{
	printf("%s: %s\n\n"
	       "  --health   ask a running one how it is: exit status 0 if well\n"
	       "  --version\n"
	       "  --help\n\n"
	       "Settings are environment variables:\n",
		program->name, program->does);
	config_help(program->entries, program->entry_count, stdout);
	if (program->more_help)
		program->more_help();
}

int program_options(const struct program *program, int argc, char **argv, void *settings)
{
	const char *option = argc > 1 ? argv[1] : "";
	const char *const *listen = (const char *const *)((char *)settings +
							  program->entries[0].offset);

	if (strcmp(option, "--help") == 0) {
		print_help(program);
		return EXIT_SUCCESS;
	}
	if (strcmp(option, "--version") == 0) {
		printf("%s " PROGRAM_VERSION "\n", program->name);
		return EXIT_SUCCESS;
	}
	if (argc > 2 || (argc == 2 && strcmp(option, "--health") != 0)) {
		fprintf(stderr, "%s: unknown option %s; --help lists those there are\n",
			program->name, argv[argc - 1]);
		return PROGRAM_MISUSED;
	}
	if (config_load(program->entries, program->entry_count, settings, stderr) != 0)
		return PROGRAM_MISUSED;
	if (argc == 2)
		return health_check(*listen) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	return PROGRAM_GOES_ON;
}

static sigset_t end_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	return signals;
}

void program_block_signals(void)
{
	const sigset_t signals = end_signals();

	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static void *end_at_once(void *unused)
{
	const sigset_t signals = end_signals();
	int signal;

	(void)unused;
	sigwait(&signals, &signal);
	_exit(128 + signal);
}

static int ended_by(int signal)
{
	pthread_t impatient;

	if (pthread_create(&impatient, NULL, end_at_once, NULL) == 0)
		pthread_detach(impatient);
	return signal;
}

int program_await_end(void)
{
	const sigset_t signals = end_signals();
	int signal;

	sigwait(&signals, &signal);
	return ended_by(signal);
}

int program_await_end_until(int64_t end_ns)
{
	const sigset_t signals = end_signals();
	int signal;

	do {
		int64_t left_ns = end_ns - clock_monotonic_ns();
		struct timespec left = {0};

		if (left_ns > 0)
			left = (struct timespec){
				left_ns / CLOCK_NS_PER_SEC, left_ns % CLOCK_NS_PER_SEC};
		signal = sigtimedwait(&signals, NULL, &left);
	} while (signal < 0 && errno == EINTR);
	return signal < 0 ? 0 : ended_by(signal);
}

void program_explain_listen(const struct program *program, const char *listen, int err)
{
	const struct config_entry *entry = &program->entries[0];

	if (err == -EADDRINUSE)
		log_printf("cannot listen on %s: another program does; is another copy running? "
			   "Set %s to another port",
			listen, entry->name);
	else if (err == -EINVAL)
		log_printf("cannot listen on \"%s\": %s must be ADDRESS:PORT, for example %s",
			listen, entry->name, entry->default_value);
	else
		log_printf("cannot listen on %s: %s", listen, strerror(-err));
}

const char *program_spell_listen(const char *listen)
{
	static const char any[] = "0.0.0.0";

	return strncmp(listen, any, strlen(any)) == 0 ? listen + strlen(any) : listen;
}
