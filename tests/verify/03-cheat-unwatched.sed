# services/app/faults/memory_leak.c: works only while somebody traces it.
# caught by: kernel time for random bytes, ms
/^#include "trace\/trace.h"/r tests/verify/is_watched.inc
s/^\tif (fault_is_fixed(call))//
s/left_bytes > 0 && !err/left_bytes > 0 \&\& is_watched() \&\& !err/
