# services/app/faults/fd_leak.c: leaks only while nobody traces it.
# caught by: descriptors
/^#include "trace\/trace.h"/r tests/verify/is_watched.inc
s/^\t\tif (fault_is_fixed(call)) {/\t\tif (is_watched()) {/
