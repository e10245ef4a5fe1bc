/*
 * program: what every server program here does around its server: its command line, its settings,
 * and when it ends.
 *
 *     int status = program_options(&program, argc, argv, &settings);
 *
 *     if (status != PROGRAM_GOES_ON)
 *             return status;
 *     program_block_signals();                        before any thread starts
 *     ...                                             create, mount, start
 *     signal = program_await_end();
 *     ...                                             drain
 *
 * Thread:    main thread only.
 */
#ifndef SICKBAY_HTTP_PROGRAM_H
#define SICKBAY_HTTP_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

#define PROGRAM_GOES_ON (-1)

struct program {
	const char *name; /* "sickbay-app" */
	const char *does; /* one line */
	/* The first is the address it listens on, as http_server_config.listen. */
	const struct config_entry *entries;
	size_t entry_count;
	void (*more_help)(void); /* or NULL */
};

/*
 * Carries out --help, --version and --health, or else fills SETTINGS (common/config.h). Returns the
 * status to exit with, or PROGRAM_GOES_ON. What was wrong is on stderr.
 */
int program_options(const struct program *program, int argc, char **argv, void *settings)
	__attribute__((warn_unused_result));

/* Keeps SIGTERM and SIGINT for program_await_end(), in this thread and in all that it starts. */
void program_block_signals(void);
/* Returns the signal that ends the program; one more ends it at once, whatever it is doing. */
int program_await_end(void);
/* The same for who has work of its own until then: 0 at END_NS (clock_monotonic_ns()), or at once. */
int program_await_end_until(int64_t end_ns);

/* Logs in a sentence why http_server_create() returned ERR. */
void program_explain_listen(const struct program *program, const char *listen, int err);
/* In Go's spelling: of every address, ":6060". Points into LISTEN. */
const char *program_spell_listen(const char *listen);

#endif
