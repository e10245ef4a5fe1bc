# services/app/faults/memory_alloc.c: keeps every buffer.
# caught by: memory \(RSS\), in MiB
s/^\tfree(buffer);//
