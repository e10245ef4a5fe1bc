# services/app/faults/memory_leak.c: clears only what the first forty requests have used.
# caught by: memory \(RSS\), in MiB|the patient lives
s/^\tif (fault_is_fixed(call))/\tstatic int served;\n\n\tif (served++ < 40)/
