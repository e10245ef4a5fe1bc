# services/app/faults/fd_leak.c: makes no files.
# caught by: files made by the requests
s/i < FILES_PER_REQUEST/i < FILES_PER_REQUEST - 5/
