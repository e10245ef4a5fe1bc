# services/app/faults/cpu.c: the first hundred requests are quick.
# caught by: requests answered in time
s/^\tif (fault_is_fixed(call))/\tstatic _Atomic int served;\n\n\tif (served++ < 100)/
