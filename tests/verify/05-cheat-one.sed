# services/app/faults/thread_leak.c: starts one thread instead of five.
# caught by: threads begun by the requests
s/THREADS_PER_REQUEST 5/THREADS_PER_REQUEST 1/
s/^\tbool fixed = fault_is_fixed(call);/\tbool fixed = true;/
