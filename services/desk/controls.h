/*
 * controls: the buttons of the page that change the patient. Fields come as a form's body.
 *
 *     POST /patient/goto       step=0..., variant=leaky or fixed (leaky)
 *     POST /patient/reset      back to step 0, and no steady requests
 *     POST /patient/requests   count=1..10: so many at once; or rate=0..20: so many per second, until
 *                              another rate
 *
 * Returns:   200 or 202 and a sentence. 400: a field is missing or wrong; 429: REQUESTS_MAX are under
 *            way; 502: the patient does not answer; any other: what the patient said.
 */
#ifndef SICKBAY_DESK_CONTROLS_H
#define SICKBAY_DESK_CONTROLS_H

#include "http/http.h"

/*
 * Returns 0 or -errno; -EINVAL: BASE_URL will not do. Before http_server_start(), after
 * requests_start(); all must outlive the server. Work may take as long as the patient does.
 */
int controls_mount(struct http_server *server, struct http_pool *pool, const char *base_url)
	__attribute__((warn_unused_result));
/* What is asked of the patient is given up. */
void controls_stop(void);

#endif
