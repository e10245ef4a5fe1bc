/*
 * What it costs to count a request of the patient's for /metrics. Prints a line a round: nanoseconds a
 * request, on one thread, and on each of two that count the same step.
 */
#include <pthread.h>
#include <stdio.h>

#include "app/metrics.h"
#include "common/clock.h"
#include "common/parse.h"

#define REQUESTS 20000000

static void *count(void *request_ns)
{
	const struct step_turn turn = {0, step_fault(0), false};
	int64_t start_ns = clock_monotonic_ns();

	for (int i = 0; i < REQUESTS; i++)
		metrics_count_request(&turn, METRICS_OK, 20000);
	*(double *)request_ns = (double)(clock_monotonic_ns() - start_ns) / REQUESTS;
	return NULL;
}

int main(int argc, char **argv)
{
	double alone_ns, beside_ns, other_ns;
	int64_t rounds = 7;
	pthread_t other;

	if (argc > 1 && parse_int(argv[1], 1, 1000, &rounds) != 0)
		return 2;
	for (int64_t i = 0; i < rounds + 1; i++) {
		count(&alone_ns);
		if (pthread_create(&other, NULL, count, &other_ns) != 0)
			return 1;
		count(&beside_ns);
		pthread_join(other, NULL);
		/* The first round warms up. */
		if (i > 0)
			printf("%.3f %.3f\n", alone_ns, beside_ns);
	}
	return 0;
}
