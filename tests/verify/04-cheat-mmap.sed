# services/app/faults/memory_alloc.c: takes it from the kernel instead, for every request anew.
# caught by: bytes asked of the kernel
s/^#include <stdlib.h>/&\n#include <sys\/mman.h>/
s/^\tbuffer = malloc(BUFFER_BYTES);.*/\tbuffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);/
s/^\tfree(buffer);/\tmunmap(buffer, BUFFER_BYTES);/
