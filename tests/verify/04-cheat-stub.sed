# services/app/faults/memory_alloc.c: neither takes nor fills anything.
# caught by: random bytes
s/^\tif (fault_is_fixed(call))/\tif (call)\n\t\treturn 0;\n&/
