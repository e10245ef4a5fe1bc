# services/app/faults/connection_leak.c: asks for something that is easier to close.
# caught by: events read
s/"\/events"/"\/"/
s/^\tbool fixed = fault_is_fixed(call);/\tbool fixed = true;/
s/"\/events?limit=1"/"\/"/
