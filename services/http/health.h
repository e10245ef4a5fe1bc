/*
 * health: asks a running server how it is, for a container's health check.
 *
 * Returns:   0 if /healthz answered 200 within HEALTH_TIMEOUT_MS, -errno otherwise; -EINVAL for a
 *            malformed address, -EBADMSG for another answer.
 * Thread:    MT-Safe.
 */
#ifndef SICKBAY_HTTP_HEALTH_H
#define SICKBAY_HTTP_HEALTH_H

#define HEALTH_TIMEOUT_MS 1500

/* LISTEN is the address the server listens on; a wildcard is asked on the loopback address. */
int health_check(const char *listen) __attribute__((warn_unused_result));

#endif
