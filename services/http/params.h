/*
 * params: values from a query string ("seconds=5&debug=1"), with bounds. Hostile input is expected
 * here.
 *
 * Shape:     keys and values are percent-decoded ('+' is a space); the first of equal keys counts.
 * Returns:   0 and the value; the default where the key is absent.
 * Errors:    -EINVAL (not a whole number, trailing bytes, bad escape, an embedded NUL, not one of
 *            the choices),
 *            -ERANGE (outside min..max, too long for the buffer). OUT is untouched on error.
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_HTTP_PARAMS_H
#define SICKBAY_HTTP_PARAMS_H

#include <stddef.h>
#include <stdint.h>

int params_string(const char *query, const char *key, const char *default_value, char *out,
	size_t cap_bytes) __attribute__((warn_unused_result));
int params_int(const char *query, const char *key, int64_t default_value, int64_t min, int64_t max,
	int64_t *out) __attribute__((warn_unused_result));

#endif
