# services/app/faults/cpu.c: sleeps for half a second instead.
# caught by: requests answered in time
s/^#include <stdint.h>/&\n#include <unistd.h>/
s/BURN_NS (5 \* CLOCK_NS_PER_SEC)/BURN_NS (CLOCK_NS_PER_SEC \/ 2)/
s/result = result \* .*/usleep(1000), i += 1000, (void)result;/
