# services/app/faults/connection_leak.c: may keep more connections, and leaks on.
# caught by: connections to upstream
s/IDLE_MAX 2/IDLE_MAX 2000/
