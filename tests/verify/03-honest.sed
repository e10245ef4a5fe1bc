# services/app/faults/memory_leak.c: clears what it has used.
s/^\tif (fault_is_fixed(call))//
