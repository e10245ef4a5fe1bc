/*
 * pair: what the four small programs share. Two of them do the same work, one with a fault and one
 * without; both have a console, and a debug server of their own.
 *
 *     pprof server running on http://localhost:6060
 *     [START] Open file descriptors: 14
 *     [AFTER 2s] Open FDs: 114  |  Files opened: 100
 *     ...
 *     [END] descriptors=514 connections=0 threads=8 rss_kib=11264 taken=500 given_back=0 failures=0
 *
 * Shape:     pair.act() runs per_second times a second at fixed times, in the main thread: what came
 *            late is made up for, unless it is more than a second late.
 * Console:   on stdout, every 2 s. A verdict when it changes: after the third line at the soonest. The
 *            last line is for programs to read; it is measured before anything is given back, and left out
 *            where an error ends the program.
 * Thread:    main thread only.
 */
#ifndef SICKBAY_LEAKS_PAIR_H
#define SICKBAY_LEAKS_PAIR_H

#include <stdint.h>
#include <stdio.h>

#include "leaks/measure.h"

/* Both what the program counts itself, for the console to lay beside what was measured. */
struct pair_counts {
	int64_t taken,
		given_back; /* files opened and closed; requests answered, responses closed */
	int64_t failures;
};

struct pair_settings {
	const char *listen, *upstream;
	int64_t seconds; /* 0: until a signal ends it */
};

/* What the two programs of a pair differ in. */
struct pair_variant {
	const char *name;   /* "file-leak" */
	const char *does;   /* one line */
	const char *listen; /* unless it is set otherwise */
};

/* What they have in common. */
struct pair {
	const struct pair_variant *variant;
	unsigned per_second;
	int (*begin)(const struct pair_settings *settings); /* 0 or -errno, which it has logged */
	/* 0; -errno, which it has logged, ends the program; else: failed, try again after so many ms. */
	int (*act)(struct pair_counts *counts);
	void (*end)(void);

	/* The rest of a line of the console, with its end. */
	void (*say_start)(FILE *out, const struct measure *now);
	void (*say_state)(FILE *out, const struct measure *now, const struct pair_counts *counts);
	int64_t (*held)(const struct measure *now); /* what a leak would have grow */
	const char *leak, *no_leak;                 /* the verdicts */
};

/* Returns the exit status of the program. */
int pair_main(const struct pair *pair, int argc, char **argv);

/*
 * pair_main() without the server: acts and speaks on OUT. Returns the signal that ended it, 0 after
 * SETTINGS' seconds, or what act() ended it with.
 */
int pair_run(const struct pair *pair, const struct pair_settings *settings, uint16_t server_port,
	FILE *out);

#endif
