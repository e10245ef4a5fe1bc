# services/app/faults/memory_alloc.c: small pieces of the kernel's memory, laid into one place for each thread.
# caught by: bytes asked of the kernel
s/^#include <stdlib.h>/&\n#include <sys\/mman.h>/
s/^\tchar \*buffer;/\tstatic _Thread_local char *buffer;/
s/^\tbuffer = malloc(BUFFER_BYTES);.*/\tif (!buffer)\
\t\tbuffer = mmap(NULL, 2 * BUFFER_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\
\tfor (char *at = buffer; buffer \&\& at < buffer + BUFFER_BYTES; at += BUFFER_BYTES \/ 20 \/ 4096 * 4096)\
\t\tmmap(at, BUFFER_BYTES \/ 20 \/ 4096 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);/
s/^\tfree(buffer);//
