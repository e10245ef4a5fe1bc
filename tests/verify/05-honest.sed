# services/app/faults/thread_leak.c: its threads end, and are joined.
s/^\tbool fixed = fault_is_fixed(call);/\tbool fixed = true;/
