# services/app/faults/fd_leak.c: may open more, and leaks on.
# caught by: descriptors
s/^#include <string.h>/&\n#include <sys\/resource.h>/
s/^\t(void)fixed;/\tsetrlimit(RLIMIT_NOFILE, \&(struct rlimit){8192, 8192});\n&/
