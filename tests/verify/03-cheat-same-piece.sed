# services/app/faults/memory_leak.c: fills the same small piece again and again.
# caught by: bytes of memory that they fill
s/^\t\t\tbuffer.len_bytes += piece_bytes;/\t\t\tbuffer.len_bytes += 0;/
