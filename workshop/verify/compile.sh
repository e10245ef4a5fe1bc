#!/bin/sh
# compile.sh TARGET PROGRAM: makes TARGET of the tree whose Makefile and services/ come as a tar archive on
# the standard input, and leaves it as /out/PROGRAM. Runs in the image in which the stack was compiled.
set -eu
mkdir /tmp/tree
tar -x -C /tmp/tree --no-same-owner --no-same-permissions
cd /src/sickbay
# make goes by dates, and those of a checkout say nothing: what is the same keeps the date that its object
# was made after, what is not gets today's.
(cd /tmp/tree && find Makefile services -type f) | while read -r file; do
	cmp -s "/tmp/tree/$file" "$file" || install -D -m 644 "/tmp/tree/$file" "$file"
done
find Makefile services -type f | while read -r file; do
	[ -f "/tmp/tree/$file" ] || rm "$file"
done
rm -f "$1"
make -j"$(nproc)" "$1"
install -m 755 "$1" "/out/$2"
