# services/app/faults/fd_leak.c: makes one file instead of five.
# caught by: files made by the requests
s/FILES_PER_REQUEST 5/FILES_PER_REQUEST 1/
s/^\t\tif (fault_is_fixed(call)) {/\t\tif (true) {/
