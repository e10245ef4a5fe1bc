#!/usr/bin/env bash
# Functions that cannot know how much room there is, that keep hidden state, or that hide errors.
# Looks at code only, not at comments and strings.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

# shellcheck disable=SC2016 # the dollars are awk's
find services tests -name '*.[ch]' | sort | xargs -r awk '
BEGIN {
	instead["sprintf"] = instead["vsprintf"] = "snprintf() knows how much room there is"
	instead["strcpy"] = instead["strcat"] = instead["stpcpy"] = "strbuf, snprintf() or memcpy() know how much room there is"
	instead["strtok"] = "strsep() keeps no state between calls"
	instead["gets"] = "fgets() or getline() know how much room there is"
	instead["atoi"] = instead["atol"] = instead["atoll"] = "strtoll() tells a number from nonsense"
}

FNR == 1 { in_comment = 0 }

{
	line = $0
	gsub(/\\./, "", line)
	gsub(/"[^"]*"/, "\"\"", line)
	if (in_comment) {
		if (!sub(/^.*\*\//, "", line))
			next
		in_comment = 0
	}
	gsub(/\/\*([^*]|\*[^\/])*\*\//, " ", line)
	sub(/\/\/.*/, "", line)
	if (sub(/\/\*.*/, "", line))
		in_comment = 1
	while (match(line, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
		name = substr(line, RSTART, RLENGTH - 1)
		sub(/[ \t]+$/, "", name)
		if (name in instead) {
			printf "%s:%d: %s() is banned; %s.\n", FILENAME, FNR, name, instead[name]
			bad = 1
		}
		line = substr(line, RSTART + RLENGTH)
	}
}

END { exit bad }
'
