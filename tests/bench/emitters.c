/*
 * What it costs to have emitters while nobody traces: all that one request at step 0 meets of them,
 * the branches of who watches requests included, and the same function without. Prints a line a
 * round: the difference, in nanoseconds a request.
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/parse.h"
#include "trace/trace.h"

#define REQUESTS 20000000
#define WATCHED_PLACES 5 /* a job's beginning, its turn's two ends, its answer, its end */

static volatile int sink;

static __attribute__((noinline)) void say_hello(void)
{
	TRACE_FUNCTION();
	sink++;
}

static __attribute__((noinline)) void do_some_business_logic(void)
{
	TRACE_FUNCTION();
	say_hello();
}

static __attribute__((noinline)) void handle(void)
{
	TRACE_FUNCTION();
	trace_number("step", 0);
	trace_async_number(sink, "step", 0);
	for (int i = 0; i < WATCHED_PLACES; i++)
		trace_instant("watched");
	do_some_business_logic();
}

static __attribute__((noinline)) void say_hello_silently(void)
{
	sink++;
}

static __attribute__((noinline)) void do_some_business_logic_silently(void)
{
	say_hello_silently();
}

static __attribute__((noinline)) void handle_silently(void)
{
	do_some_business_logic_silently();
}

static double request_ns(void (*volatile handler)(void))
{
	int64_t start_ns = clock_monotonic_ns();

	for (int i = 0; i < REQUESTS; i++)
		handler();
	return (double)(clock_monotonic_ns() - start_ns) / REQUESTS;
}

int main(int argc, char **argv)
{
	int64_t rounds = 7;

	if (argc > 1 && parse_int(argv[1], 1, 1000, &rounds) != 0)
		return 2;
	for (int64_t i = 0; i < rounds + 1; i++) {
		double with_ns = request_ns(handle), without_ns = request_ns(handle_silently);

		/* The first round warms up. */
		if (i > 0)
			printf("%.3f\n", with_ns - without_ns);
	}
	return 0;
}
