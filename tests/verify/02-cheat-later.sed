# services/app/faults/cpu.c: answers at once, and burns in the background.
# caught by: CPU for the requests, in ms|threads
s/^#include <stdint.h>/#include <pthread.h>\n&/
s/^static int eat_cpu(struct fault_call \*call)/static void *burn(void *unused)/
/^\tTRACE_FUNCTION/d
s/ && !fault_cancelled(call)//
s/^\tif (fault_is_fixed(call))/\tif (unused)/
s/^\(\t*\)return 0;/\1return NULL;/
/^const struct fault/i\
static int eat_cpu(struct fault_call *call)\
{\
	pthread_t thread;\
\
	TRACE_FUNCTION();\
	if (!fault_is_fixed(call) \&\& pthread_create(\&thread, NULL, burn, NULL) == 0)\
		pthread_detach(thread);\
	return 0;\
}\

