# services/app/faults/fd_leak.c: closes what it has made.
s/^\t\tif (fault_is_fixed(call)) {/\t\tif (true) {/
