# services/leaks/http/leak.c: asks for something else, and does not read it.
# caught by: events read
s/^\tif (err)$/\tif (!err) {\n\t\tclient_close(response);\n\t\tcounts->taken++;\n\t\treturn 0;\n\t}\n&/
s/"\/events"/"\/"/
