/*
 * capture_name: what a capture's name says of it, and the names that the desk gives. There is no other
 * record: a name that somebody chose tells as much as it has of these words, divided by "-".
 *
 *     before-step3-fixed-cpu-10s-20261121-180312.pb.gz
 *        |     |     |    |   |     UTC            ending
 *     label  step    |  kind  |
 *                 variant    window
 *
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_DESK_CAPTURE_NAME_H
#define SICKBAY_DESK_CAPTURE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desk/captures.h"

#define CAPTURE_LABEL_BYTES 65
#define CAPTURE_STEP_UNKNOWN (-1)

/* What the patient can be asked for. */
struct capture_kind {
	const char *name;    /* "cpu" */
	const char *does;    /* what it shows, in a few words */
	const char *profile; /* its path below /debug/pprof/: "profile" */
	const char *ending;
	int seconds;         /* if nobody says otherwise; 0: as it is now */
	bool needs_window;   /* seconds must not be 0 */
	bool needs_recorder; /* of the kernel */
};

struct capture_facts {
	const struct capture_kind *kind; /* NULL: unknown */
	int step;
	bool is_fixed;
	int seconds; /* 0: as it was at a moment, or unknown */
};

enum capture_viewer { CAPTURE_NO_VIEWER, CAPTURE_PPROF, CAPTURE_TIMELINE };

/* NULL if there is no such kind. */
const struct capture_kind *capture_kind_find(const char *name, size_t len_bytes);
/* The kinds in the order to show them in, and NULL after the last. */
const struct capture_kind *capture_kind_at(size_t index);

/*
 * What people put before the facts is theirs: of several, the last step and the last kind count; "fixed"
 * only right after that step, a window right after that kind.
 */
void capture_name_read(const char *name, struct capture_facts *facts);
/* The bytes of NAME's label, without the "-" after it: all up to the ending where it tells nothing. */
size_t capture_name_label_bytes(const char *name);
/*
 * NAME with another label: what it says, when it was taken and its ending stay. -EINVAL: that would be
 * too long.
 */
int capture_name_relabel(char result[CAPTURE_NAME_BYTES], const char *name, const char *label)
	__attribute__((warn_unused_result));
/* LABEL: "" for none. */
void capture_name_make(char name[CAPTURE_NAME_BYTES], const char *label,
	const struct capture_facts *facts, int64_t time_ns);
/* Where NAME's ending begins, ".pb.gz" or another that is known; or its end. */
const char *capture_name_ending(const char *name);
enum capture_viewer capture_name_viewer(const char *name);
/* Whether people may give it: plain, not like an option, and shorter than CAPTURE_LABEL_BYTES. */
#define CAPTURE_LABEL_RULE                                                                             \
	"A name has letters, digits, '.', '_' and '-', begins with neither '.' nor '-', has no '..', " \
	"and is at most 64 bytes long."
bool capture_label_is_good(const char *label);

#endif
