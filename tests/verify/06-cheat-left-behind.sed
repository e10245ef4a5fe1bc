# services/app/faults/fd_leak.c: closes its files, and leaves them lying about.
# caught by: files of requests, in /tmp
s/^\t\tif (fault_is_fixed(call)) {/\t\tclose(file.fd);\n\t\tif (true)\n\t\t\tcontinue;\n&/
