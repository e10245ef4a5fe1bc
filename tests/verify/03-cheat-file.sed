# services/app/faults/memory_leak.c: keeps what it leaks in a file in memory.
# caught by: memory of the container, in MiB
s/^#include <string.h>/&\n#include <sys\/mman.h>\n#include <unistd.h>/
s/^\tif (fault_is_fixed(call))/\tstatic int file;\n\n\tfile = file ? file : memfd_create("kept", 0);\n\tif (write(file, buffer.data, buffer.len_bytes) >= 0)/
