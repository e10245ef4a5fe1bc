# rewrite.awk CHANGES DOCUMENT: the document with other output. A line "FIRST LAST INDENT FILE" of CHANGES says
# that the lines FIRST to LAST become those of FILE, behind INDENT blanks; LAST is FIRST - 1 where lines only come
# in between. Of more than MOST lines, the rest is told by "...".

BEGIN { MOST = 40 }

function put(file, indent,    line, lines, blank, n) {
	blank = sprintf("%" indent "s", "")
	while ((getline line < file) > 0) {
		sub(/[ \t\r]+$/, "", line)
		lines[++n] = line == "" ? "" : blank line
	}
	close(file)
	for (i = 1; i <= n && (n <= MOST || i < MOST); i++)
		print lines[i]
	if (n > MOST)
		print blank "..."
}

FILENAME == ARGV[1] {
	last[$1] = $2
	indent[$1] = $3
	file[$1] = $4
	next
}

FNR in last {
	put(file[FNR], indent[FNR])
	skipped = last[FNR]
}

FNR > skipped
