# services/app/faults/connection_leak.c: one request in ten calls.
# caught by: events that upstream sent
s/^\terr = client_open(.*/\tstatic _Atomic unsigned served;\n\n\tif (served++ % 10)\n\t\treturn 0;\n&/
s/^\tbool fixed = fault_is_fixed(call);/\tbool fixed = true;/
