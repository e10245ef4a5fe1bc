# services/app/faults/memory_alloc.c: a buffer for each thread, allocated once.
s/^\tchar \*buffer;/\tstatic _Thread_local char *buffer;/
s/^\tbuffer = malloc(BUFFER_BYTES);.*/\tif (!buffer)\n\t\tbuffer = malloc(BUFFER_BYTES);/
s/^\tfree(buffer);//
