/*
 * answer: the answer file of a lab, and whether an answer is right by it. Answers are hostile input.
 *
 *     # a comment
 *     step 3                    or: pair file
 *     function leak_memory      one line for each that is right
 *     resource heap memory      one line for each that is right
 *     seen ...                  a paragraph on how it can be seen; any number of them
 *
 * Shape:     TEXT is the whole file, ended by a NUL.
 * Compare:   words, whatever stands between them; small and capital letters are the same, and so is a
 *            word with an "s" at its end. "leak_memory()" is "Leak memory".
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_DESK_ANSWER_H
#define SICKBAY_DESK_ANSWER_H

#include <stdbool.h>

#include "common/strbuf.h"

/* Longer ones are not right. */
#define ANSWER_BYTES 128

/* Whether the file has a line of KEY with exactly this value: "step", "3". */
bool answer_has(const char *text, const char *key, const char *value);
bool answer_is_right(const char *text, const char *function, const char *resource);
/* Appends the paragraphs on how it is seen, divided by newlines. */
void answer_add_seen(const char *text, struct strbuf *out);

#endif
