# compare.awk EXPECTED GOT: exits 0 where what a command said is what a document prints, but for what is
# another with every run; else 1, and what differs: a line "- N TEXT" for each line of EXPECTED that is not
# found, N its number, and "+ TEXT" for each of GOT that nobody expected.
#
#   -v tolerance=25   in percent: numbers may differ by so much of what is expected
#   -v unordered=1    lines may come in another order
#   -v pid=42         the patient's
#   -v update=1       what differs is not told; instead, EXPECTED as it should be: where only numbers differ,
#                     its lines with other numbers, else GOT
#
# A line "..." of EXPECTED stands for any lines, "…" within a line for any text.
#
# Both sides are brought into one form first. What has no value to compare becomes a word in capitals; numbers
# are taken out of the text and compared one by one. Numbers within names (x86_64) belong to the name.

BEGIN {
	NUMBER = "\001" # in place of each number
	MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
	CLOCK = "[0-9]?[0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]+)?)?"
	DAY = "[0-9][0-9][0-9][0-9][-/][0-9][0-9][-/][0-9][0-9]"
	UNIT_NS = "(ns|us|µs|μs|ms|s|m|h|mins?|hrs?)"
	C = "[A-Za-z0-9]" # of mkstemp
	FILE_TYPE = "^(REG|DIR|CHR|FIFO|IPv4|IPv6|unix|sock|a_inode|netlink)$"
	MANY = 40 # lines are told
	if (tolerance == "")
		tolerance = 25
}

# ---- one form ------------------------------------------------------------------------------------

# replace LINE REGEX WITH: where it is not part of a longer word or number.
function replace(text, regex, with,    out, before, after) {
	out = ""
	while (match(text, regex)) {
		before = substr(out substr(text, 1, RSTART - 1), length(out) + RSTART - 1)
		after = substr(text, RSTART + RLENGTH, 1)
		if (before ~ /[A-Za-z0-9_.:]/ || after ~ /[A-Za-z0-9_]/)
			out = out substr(text, 1, RSTART + RLENGTH - 1)
		else
			out = out substr(text, 1, RSTART - 1) with
		text = substr(text, RSTART + RLENGTH)
	}
	return out text
}

# replace_number TEXT BEFORE AFTER WITH: the number between two strings that stay.
function replace_number(text, before, after, with,    out, found) {
	out = ""
	while (match(text, before "[0-9]+" after)) {
		found = substr(text, RSTART, RLENGTH)
		sub(/[0-9]+/, with, found)
		out = out substr(text, 1, RSTART - 1) found
		text = substr(text, RSTART + RLENGTH)
	}
	return out text
}

# hashes TEXT: long words of hexadecimal digits: build ids, containers, addresses without 0x.
function hashes(text,    out, word) {
	out = ""
	while (match(text, /[A-Za-z0-9_]+/)) {
		word = substr(text, RSTART, RLENGTH)
		if (length(word) >= 12 && word ~ /^[0-9a-f]+$/ && word ~ /[0-9]/ && (word ~ /[a-f]/ || word ~ /^0000/))
			word = "HEX"
		out = out substr(text, 1, RSTART - 1) word
		text = substr(text, RSTART + RLENGTH)
	}
	return out text
}

function times(text) {
	text = replace(text, "((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?" MONTH " [0-9]+ (" CLOCK "|[0-9][0-9][0-9][0-9])( [A-Z]+ [0-9][0-9][0-9][0-9])?", "DATE")
	text = replace(text, DAY "([ T]" CLOCK "(Z| UTC| [-+][0-9]+)?)?", "DATE")
	text = replace(text, CLOCK, "CLOCK")
	text = replace(text, "([0-9]+(\\.[0-9]+)?" UNIT_NS ")+", "DURATION")
	text = replace(text, "[0-9]+(\\.[0-9]+)? (ns|us|µs|μs|ms|s|seconds?|minutes?|hours?)", "DURATION")
	gsub(/<[0-9]+\.[0-9]+>/, "<DURATION>", text) # of strace
	return text
}

# ids TEXT: of processes and threads where the words beside them say so.
function ids(text) {
	text = replace_number(text, "([Tt]hread|LWP|PID|pid|tid|TID|[Pp]rocess|__owner)[ =]+#?", "", "ID")
	text = replace_number(text, "/(proc|task)/", "", "ID")
	text = replace_number(text, "/cores/[a-z]+\\.", "", "ID")
	text = replace_number(text, "", "/(sickbay-app|(file|http)-(leak|fixed))", "ID")
	text = replace_number(text, "(socket|pipe):\\[", "", "INODE")
	text = replace(text, "(worker|loop|debug|leaked|recv)-[0-9]+", "THREAD")
	return text
}

# temporary TEXT: names that mkstemp and its like have made.
function temporary(text,    out, word, part) {
	gsub("sickbay-file-" C C C C C C, "sickbay-file-XXXXXX", text)
	gsub("/tmp/tmp\\." C C C C C C C C C C, "/tmp/tmp.XXXXXX", text)
	out = ""
	while (match(text, /\/tmp\/[A-Za-z0-9_.\/-]+/)) {
		word = substr(text, RSTART, RLENGTH) "/"
		out = out substr(text, 1, RSTART - 1)
		text = substr(text, RSTART + RLENGTH)
		while (match(word, "[-.]" C C C C C C "[-./]")) {
			part = substr(word, RSTART, RLENGTH)
			out = out substr(word, 1, RSTART) "XXXXXX"
			word = substr(word, RSTART + RLENGTH - 1)
		}
		out = out substr(word, 1, length(word) - 1)
	}
	return out text
}

# columns TEXT: of lsof by their shape, of ps and top by the heading above them.
function columns(text,    field, n, i) {
	n = split(text, field, " ")
	if (text ~ /(^| )PID /) {
		for (i = 1; i <= n; i++)
			heading[i] = field[i]
		headings = n
	} else if (text == "") {
		headings = 0
	} else if (n >= 9 && field[2] ~ /^[0-9]+$/ && field[5] ~ FILE_TYPE) {
		field[2] = "ID"
		field[6] = "DEVICE"
		if (field[8] ~ /^[0-9]+$/)
			field[8] = "INODE"
		text = join(field, n)
	} else if (headings) {
		for (i = 1; i <= n && i <= headings; i++)
			if (heading[i] ~ /^(PID|PPID|LWP|TID|SPID|PGID|SID)$/ && field[i] ~ /^[0-9]+$/)
				field[i] = "ID"
		text = join(field, n)
	}
	return text
}

function join(field, n,    text, i) {
	text = field[1]
	for (i = 2; i <= n; i++)
		text = text " " field[i]
	return text
}

function normalize(text) {
	gsub(/[ \t\r]+/, " ", text)
	sub(/^ /, "", text)
	sub(/ $/, "", text)
	text = columns(text)
	gsub(/0x[0-9a-f]+/, "0xHEX", text)
	text = temporary(hashes(text))
	text = ids(times(text))
	return replace(text, "(10|172|192)\\.[0-9]+\\.[0-9]+\\.[0-9]+", "ADDRESS")
}

# ---- numbers -------------------------------------------------------------------------------------

# scale UNIT: bytes in it; 0 where it is none.
function scale(unit) {
	if (unit ~ /^[kK](i?B)?$/) return 1024
	if (unit ~ /^M(i?B)?$/) return 1048576
	if (unit ~ /^G(i?B)?$/) return 1073741824
	return unit == "B"
}

# take_numbers SIDE LINE TEXT: TEXT without its numbers, which are in value[SIDE, LINE, 1...] then.
#
# kind: "line" of a source (f.c:9, or as pprof -list has it) is a promise, "percent" are compared as such, "any" can have no expected value.
function take_numbers(side, line, text,    out, n, before, number, unit, kind) {
	out = ""
	n = 0
	while (match(text, /[0-9]+(\.[0-9]+)?/)) {
		before = out substr(text, 1, RSTART - 1)
		number = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		if (before ~ /[A-Za-z_]$/) {
			match(text, /^[A-Za-z0-9_]*/)
			out = before number substr(text, 1, RLENGTH)
			text = substr(text, RLENGTH + 1)
			continue
		}
		kind = "number"
		match(text, /^ ?[A-Za-z]+/)
		unit = substr(text, 1, RLENGTH)
		sub(/^ /, "", unit)
		if (before ~ /\.[ch]:$/ || (text ~ /^:( |$)/ && before ~ ("(" NUMBER "|DURATION|\\.) $"))) {
			kind = "line"
		} else if (text ~ /^%/) {
			kind = "percent"
		} else if (scale(unit)) {
			number *= scale(unit)
			text = substr(text, RLENGTH + 1)
		} else if (number == pid || (before ~ /:$/ && number + 0 > 32767)) {
			kind = "any"
		}
		n++
		value[side, line, n] = number
		kinds[side, line, n] = kind
		out = before NUMBER
	}
	return out text
}

# close_enough EXPECTED-LINE EXPECTED-NUMBER GOT-LINE GOT-NUMBER
function close_enough(e, i, g, j,    difference, allowed) {
	if (is_loose || kinds["e", e, i] == "any" || kinds["g", g, j] == "any")
		return 1
	difference = value["g", g, j] - value["e", e, i]
	if (difference < 0)
		difference = -difference
	if (kinds["e", e, i] == "line")
		return difference == 0
	allowed = value["e", e, i] * tolerance / 100
	if (kinds["e", e, i] == "percent" && allowed < 5)
		allowed = 5
	return difference <= allowed
}

# ---- lines ---------------------------------------------------------------------------------------

# occurrences TEXT: numbers in it.
function occurrences(text) { return gsub(NUMBER, "", text) }

function is_any(e) { return expected[e] == "..." }

# same E G: the line E of what is expected is the line G of what was got. Pieces between "…" are looked for from
# the left, the last one at the end.
function same(e, g,    piece, pieces, i, k, at, text, number, seen) {
	pieces = split(expected[e], piece, "…")
	text = got[g]
	if (!pieces)
		return text == ""
	number = seen = 0
	for (i = 1; i <= pieces; i++) {
		at = i == pieces && i > 1 ? length(text) - length(piece[i]) + 1 : i == 1 ? 1 : index(text, piece[i])
		if (at < 1 || substr(text, at, length(piece[i])) != piece[i])
			return 0
		seen += occurrences(substr(text, 1, at - 1))
		for (k = occurrences(piece[i]); k > 0; k--)
			if (!close_enough(e, ++number, g, ++seen))
				return 0
		text = substr(text, at + length(piece[i]))
	}
	return text == ""
}

# in_order: as a pattern with stars is matched.
function in_order(    e, g, star, after) {
	e = g = 1
	while (g <= got_count) {
		if (e <= expected_count && is_any(e)) {
			star = e++
			after = g
		} else if (e <= expected_count && same(e, g)) {
			partner[e++] = g++
		} else if (star) {
			e = star + 1
			g = ++after
		} else {
			return 0
		}
	}
	while (e <= expected_count && is_any(e))
		e++
	return e > expected_count
}

# pair_up: each line that is expected takes one that was got; returns whether none is left over.
function pair_up(    e, g, complete, any) {
	complete = 1
	for (e = 1; e <= expected_count; e++) {
		if (is_any(e)) {
			any = found[e] = 1
			continue
		}
		for (g = 1; g <= got_count && !found[e]; g++)
			if (!taken[g] && same(e, g))
				found[e] = taken[g] = 1
		if (!found[e])
			complete = 0
	}
	for (g = 1; g <= got_count && !any; g++)
		if (!taken[g])
			complete = 0
	return complete
}

# ---- what is to be told --------------------------------------------------------------------------

# with_lines_of EXPECTED GOT: EXPECTED, its lines of sources as in GOT.
function with_lines_of(text, other,    out, place, name) {
	out = ""
	while (match(text, /[A-Za-z0-9_]+\.[ch]:[0-9]+/)) {
		place = substr(text, RSTART, RLENGTH)
		out = out substr(text, 1, RSTART - 1)
		text = substr(text, RSTART + RLENGTH)
		name = place
		sub(/[0-9]+$/, "", name)
		if (match(other, "(^|[^A-Za-z0-9_])" name "[0-9]+")) {
			place = substr(other, RSTART, RLENGTH)
			sub(/^[^A-Za-z0-9_]/, "", place)
		}
		out = out place
	}
	return out text
}

# repaired E G: the line E, which differs from the line G in numbers.
function repaired(e, g,    text) {
	if (same(e, g))
		return shown["e", e]
	text = with_lines_of(shown["e", e], shown["g", g])
	expected[e] = take_numbers("e", e, normalize(text))
	return same(e, g) ? text : shown["g", g]
}

function update_expected(    e, g, is_alike) {
	is_loose = 1
	is_alike = !unordered && in_order()
	is_loose = 0
	for (g = 1; g <= got_count && !is_alike; g++)
		print shown["g", g]
	for (e = 1; e <= expected_count && is_alike; e++)
		print is_any(e) ? shown["e", e] : repaired(e, partner[e])
}

function explain(complete,    e, g, many) {
	if (complete)
		print "- 1 (the lines are there, but in another order)"
	for (e = 1; e <= expected_count; e++)
		if (!found[e])
			print "- " e " " shown["e", e]
	for (g = 1; g <= got_count; g++)
		if ((complete || !taken[g]) && many++ <= MANY)
			print "+ " (many > MANY ? "..." : shown["g", g])
}

FNR == 1 { headings = 0 }

FILENAME == ARGV[1] {
	shown["e", FNR] = $0
	expected[FNR] = take_numbers("e", FNR, normalize($0))
	if ($0 != "")
		expected_count = FNR
	next
}

{
	shown["g", FNR] = $0
	got[FNR] = take_numbers("g", FNR, normalize($0))
	if ($0 ~ /[^ \t\r]/)
		got_count = FNR
}

END {
	complete = pair_up()
	if (unordered ? complete : in_order())
		exit 0
	if (update)
		update_expected()
	else
		explain(complete)
	exit 1
}
