# services/leaks/http/leak.c: closes the response.
s/^\treturn len_bytes < 0 .*/\tclient_close(response);\n\tcounts->given_back++;\n&/
