#!/usr/bin/env bash
# Files over 400 lines are named, over 600 they fail. Functions over 80 lines fail, unless the comment
# that ends right above them says why, with the words "long because".
# A function begins with a "{" in the first column and ends with a "}" there: .clang-format sees to it.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

find services tests -name '*.[ch]' | sort | xargs -r awk -v warn_lines=400 -v fail_lines=600 -v function_lines=80 '
function close_file() {
	if (lines > fail_lines) {
		printf "%s:%d: the file has more than %d lines; split it.\n", file, lines, fail_lines
		bad = 1
	} else if (lines > warn_lines) {
		printf "%s:%d: the file has more than %d lines (a warning).\n", file, lines, warn_lines
	}
}

FNR == 1 {
	close_file()
	file = FILENAME
	begin = 0
	excused = 0
}

{ lines = FNR }

/long because/ { excused = 1 }

/^[A-Za-z_].*\(/ && !/;[ \t]*$/ { name_line = FNR }

/^\{/ { begin = name_line ? name_line : FNR }

/^\}/ {
	if (begin && FNR - begin + 1 > function_lines && !excused) {
		printf "%s:%d: the function has %d lines, more than %d; split it, or say why above it: \"long because ...\".\n",
			FILENAME, begin, FNR - begin + 1, function_lines
		bad = 1
	}
	begin = name_line = excused = 0
}

END {
	close_file()
	exit bad
}
'
