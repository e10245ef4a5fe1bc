# services/app/faults/memory_alloc.c: another allocator's function, as often.
# caught by: bytes asked of the allocator
s/^\tbuffer = malloc(BUFFER_BYTES);.*/\tbuffer = aligned_alloc(64, BUFFER_BYTES);/
