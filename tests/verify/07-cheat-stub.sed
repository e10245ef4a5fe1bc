# services/app/faults/connection_leak.c: calls nobody.
# caught by: events that upstream sent
s/^\terr = client_open(.*/\terr = 0;\n\tif (path)\n\t\treturn 0;\n&/
