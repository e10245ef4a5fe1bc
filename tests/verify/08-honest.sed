# services/leaks/file/leak.c: closes its file.
s/^\tif (write(fd, .*/\tssize_t len_bytes = write(fd, text, strlen(text));\n\n\tclose(fd);\n\tif (len_bytes < 0)/
