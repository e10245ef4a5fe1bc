# services/app/faults/memory_alloc.c: keeps its buffer only while somebody traces it.
# caught by: looks at who is watching
/^#include "trace\/trace.h"/r tests/verify/is_watched.inc
s/^\tif (fault_is_fixed(call))/\tif (fault_is_fixed(call) || is_watched())/
