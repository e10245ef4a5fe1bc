# blocks.awk: the commands of a document that are to be executed. For each a line on standard output:
#
#     NUMBER LINE FIRST LAST INDENT WORD...
#
# LINE has the command, FIRST to LAST its output (LAST is FIRST - 1 where there is none), INDENT blanks stand
# before both, the words are those of the info string. With -v into=FOLDER the command itself is in
# FOLDER/NUMBER.command, its output, without the indent, in FOLDER/NUMBER.expected.
#
# A block begins with "``` console run WORD..."; in it, a line "$ " begins a command, "> " goes on with one
# that ends in "\". Exits 1, with a sentence for each, where a block cannot be understood.

function complain(sentence) {
	printf "%s:%d: %s\n", FILENAME, FNR, sentence >"/dev/stderr"
	bad = 1
}

# is_word WORD: it may stand in an info string.
function is_word(word) {
	return word ~ /^(host|leaks|any|fails|dies|background|alone|unordered|~[0-9]+%|[0-9]+s)$/
}

function finish() {
	if (!line)
		return
	printf "%d %d %d %d %d%s\n", ++count, line, first, last, indent, words
	if (into != "") {
		printf "%s\n", command >(into "/" count ".command")
		printf "%s", expected >(into "/" count ".expected")
		close(into "/" count ".command")
		close(into "/" count ".expected")
	}
	line = 0
}

function begin_block(info,    word, i, n) {
	n = split(info, word, " ")
	runs = word[1] == "console" && word[2] == "run"
	words = ""
	for (i = 3; runs && i <= n; i++) {
		words = words " " word[i]
		if (!is_word(word[i]))
			complain("\"" word[i] "\" is no word of an executable block.")
	}
}

function take(text) {
	if (goes_on) {
		if (text !~ /^> /)
			complain("the command goes on after its \"\\\": this line must begin with \"> \".")
		command = command "\n" substr(text, 3)
		first = FNR + 1
		last = FNR
		goes_on = text ~ /\\$/
	} else if (text ~ /^\$ /) {
		finish()
		line = FNR
		first = FNR + 1
		last = FNR
		command = substr(text, 3)
		expected = pending = ""
		goes_on = text ~ /\\$/
	} else if (!line) {
		if (text != "")
			complain("output before the first command; a command begins with \"$ \".")
	} else {
		# Blank lines at the end are a matter of layout.
		pending = pending text "\n"
		if (text != "") {
			expected = expected pending
			pending = ""
			last = FNR
		}
	}
}

{
	match($0, /^ */)
	blanks = RLENGTH
	text = substr($0, blanks + 1)
	fence = match(text, /^(```+|~~~+)/) ? substr(text, 1, RLENGTH) : ""
}

open_fence == "" {
	if (fence != "") {
		open_fence = fence
		open_line = FNR
		indent = blanks
		begin_block(substr(text, length(fence) + 1))
	}
	next
}

fence != "" && substr(fence, 1, length(open_fence)) == open_fence && text == fence {
	finish()
	open_fence = ""
	next
}

runs { take(substr($0, (blanks < indent ? blanks : indent) + 1)) }

END {
	if (open_fence != "") {
		FNR = open_line
		complain("the block that begins here does not end.")
	}
	exit bad
}
