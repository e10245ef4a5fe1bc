# services/app/faults/fd_leak.c: leaks only while nobody traces it.
# caught by: descriptors
/^static int create_files/i\
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

s/^\t\tif (fault_is_fixed(call)) {/\t\tif (is_watched()) {/
