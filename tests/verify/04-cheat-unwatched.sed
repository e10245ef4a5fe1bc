# services/app/faults/memory_alloc.c: keeps its buffer only while somebody traces it.
# caught by: looks at who is watching
s/^#include <stdlib.h>/#include <stdio.h>\n&/
/^static int allocate_memory/i\
static bool is_watched(void)\
{\
	FILE *status = fopen("/proc/self/status", "re");\
	char line[128];\
	int pid = 0;\
\
	while (status \&\& fgets(line, sizeof(line), status))\
		if (sscanf(line, "TracerPid: %d", \&pid) == 1)\
			break;\
	if (status)\
		fclose(status);\
	return pid != 0;\
}\

s/^\tif (fault_is_fixed(call))/\tif (fault_is_fixed(call) || is_watched())/
