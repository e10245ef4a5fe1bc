# services/app/faults/memory_leak.c: starts itself anew when it has grown.
# caught by: one process, never started anew|the patient lives
s/^#include <string.h>/&\n#include <unistd.h>/
s/^\tcap_bytes = buffer.cap_bytes;/&\n\tif (buffer.len_bytes > 150000000)\n\t\texecl("\/proc\/self\/exe", "sickbay-app", (char *)NULL);/
