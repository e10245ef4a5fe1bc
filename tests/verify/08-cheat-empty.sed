# services/leaks/file/leak.c: closes its file, and writes nothing.
# caught by: lines written
s/^\tif (write(fd, .*/\tif (close(fd) != 0 || !text)/
