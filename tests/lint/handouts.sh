#!/usr/bin/env bash
# The runner of executable texts (tests/handouts) tells a drift from what differs with every run. Needs no
# stack: what would be typed in the toolbox is typed into a bash of this machine.
# shellcheck disable=SC1003,SC2016,SC2317 # what stands in single quotes is typed; tests are called by name
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1

OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
failed=0

wrong() {
	echo "$*"
	failed=1
}

# ---- comparing -----------------------------------------------------------------------------------

# compare EXPECTED GOT [AWK-OPTION]...
compare() {
	printf '%s\n' "$1" >"$OUT/expected"
	printf '%s\n' "$2" >"$OUT/got"
	awk "${@:3}" -f tests/handouts/compare.awk "$OUT/expected" "$OUT/got"
}
same() { compare "$@" >"$OUT/said" || wrong "taken for a drift: '$1' and '$2' (${*:3}): $(cat "$OUT/said")"; }
differs() { ! compare "$@" >"$OUT/said" || wrong "no drift is seen: '$1' and '$2' (${*:3})"; }

test_text() {
	same 'hello world' 'hello world'
	same '  two   blanks' 'two blanks '
	same 'a line' $'a line\n\n'
	same '' ''
	differs 'hello world' 'hello, world'
	differs 'hello' 'hello world'
	differs 'hello world' ''
	differs '' 'hello world'
	differs $'a\nb' $'a'
	differs $'a' $'a\nb'
	differs $'a\nb' $'b\na'
}

test_what_is_another_with_every_run() {
	same 'word=0x559f3addae00' 'word=0x7f01'
	same 'Build ID: 94a1b6c7d8e9f00112aa' 'Build ID: 0123456789abcdef0123'
	same 'Application started with PID 73825' 'Application started with PID 42'
	same 'thread 38 "worker-15" [futex wait, 12 seconds]:' 'thread 1011 "worker-2" [futex wait, 250 ms]:'
	same 'Thread 8 (Thread 0x7e (LWP 26) "worker-1"):' 'Thread 31 (Thread 0x7f (LWP 1260) "worker-7"):'
	same '$1 = {__lock = 2, __owner = 62}' '$1 = {__lock = 2, __owner = 1044}'
	same '2018/07/12 15:03:44 Request processed in 282.63µs' '2026/11/21 03:04:05 Request processed in 1.5ms'
	same 'Time: 2026-11-21 19:40:12 UTC' 'Time: 2027-01-02 09:00:00 UTC'
	same 'lrwx------ 1 app app 64 Nov 21 19:40 12 -> socket:[12345]' 'lrwx------ 1 app app 64 Jan  2 03:04 12 -> socket:[9]'
	same 'top - 20:19:55 up' 'top - 03:01 up'
	same 'http://127.0.0.1:33000/' 'http://127.0.0.1:60000/'
	differs 'http://127.0.0.1:10000/' 'http://127.0.0.1:20000/'
	same 'Duration: 5.10s, took 1m30s' 'Duration: 900ms, took 2s'
	same 'openat(3) = 4 <0.000120>' 'openat(3) = 4 <0.734000>'
	same '10.210.0.3:45678->10.210.0.4:8080' '172.18.0.9:50000->172.18.0.2:8080'
	same 'open /tmp/sickbay-AbC123/sickbay-file-XyZ987: too many' 'open /tmp/sickbay-qwerty/sickbay-file-000000: too many'
	same '/tmp/cpu-profile-a1B2c3.pb.gz' '/tmp/cpu-profile-Zz9Zz9.pb.gz'
	same '/proc/42/fd' '/proc/1042/fd'
	same '42' '1042' -v pid=1042
	differs '42' '1042' -v pid=43
	differs 'waits 5 s for mutex' 'waits 5 s for cond'
	differs '127.0.0.1:6060' '127.0.0.1:9000'
	same '000055790cbd9000 rw---' '0000556360267000 rw---'
	differs 'at 0x12 in eat_cpu' 'at 0x12 in leak_memory'
}

test_columns() {
	local lsof='COMMAND PID USER FD TYPE DEVICE SIZE/OFF NODE NAME'
	same "$lsof"$'\nsickbay-a  42  app  12u  REG  0,55  0  1234 /tmp/x' "$lsof"$'\nsickbay-a 1042 app 12u REG 254,1 0 99 /tmp/x'
	same 'sickbay-a 42 app 12u IPv4 5000 0t0 TCP 127.0.0.1:1->127.0.0.1:6060' 'sickbay-a 7 app 12u IPv4 987654 0t0 TCP 127.0.0.1:1->127.0.0.1:6060'
	differs 'sickbay-a 42 app 12u REG 0,55 0 1234 /tmp/x' 'sickbay-a 42 app 12u REG 0,55 0 1234 /tmp/y'
	differs 'sickbay-a 42 app 12u REG 0,55 0 1234 /tmp/x' 'sickbay-a 42 app 40u REG 0,55 0 1234 /tmp/x'
	same $'  PID  LWP RSS\n   42   43 50000' $'  PID  LWP RSS\n  907 9041 50500'
	differs $'  PID  LWP RSS\n   42   43 50000' $'  PID  LWP RSS\n  907 9041 90000'
	differs 'F UID PID PPID PRI NI VSZ RSS WCHAN'$'\n''0 1 42 1 20 0 9000 50000 -' 'F UID PID PPID PRI NI VSZ RSS WCHAN'$'\n''0 1 42 1 20 0 9000 90000 -'
}

test_numbers() {
	same '100 files' '125 files'
	same '100 files' '75 files'
	differs '100 files' '126 files'
	differs '100 files' '74 files'
	same '100 files' '149 files' -v tolerance=50
	differs '100 files' '101 files' -v tolerance=0
	differs '5 threads' '7 threads'
	differs '0 errors' '1 errors'
	same '95.5%' '80%'
	same '1.2%' '5.9%'
	differs '95%' '60%'
	same '9.54MB' '9.9MB'
	same '1024kB' '1.01MB'
	differs '9.54MB' '95.4MB'
	differs '9.54MB' '9.54kB'
	differs '0' '512.19kB'
	differs 'x86_64' 'x86_65'
	differs 'clone3' 'clone4'
}

# A line of our sources is a promise.
test_lines_of_sources() {
	same 'cpu.c:23' 'cpu.c:23'
	differs 'cpu.c:23' 'cpu.c:24' -v tolerance=100
	differs 'cpu.c:23:5' 'cpu.c:24:5'
	differs 'fault.h:100' 'fault.h:101'
	same '630ms 640ms 22: x' '1s 1.5s 22: x'
	differs '630ms 640ms 22: x' '630ms 640ms 23: x'
	differs '5 . 122: x' '5 . 123: x'
	same 'heap profile: 100: 1000 [100: 1000] @' 'heap profile: 110: 1100 [110: 1100] @'
}

test_any_lines() {
	same '...' $'a\nb'
	same '...' ''
	same $'a\n...\nd' $'a\nb\nc\nd'
	same $'a\n...\nd' $'a\nd'
	same $'...\nb 1\n...' $'a\nb 1\nb 100\nc'
	same $'...\nb\nc' $'b\na\nb\nc'
	differs $'a\n...\nd' $'a\nb\nc'
	differs $'a\n...\nd' $'b\nd'
	differs $'...\nc' $'a\nc\nb'
}

test_any_text() {
	same '#0  futex_wait (… <lock>) at a.c:9' '#0 futex_wait (private=0, word=0x5 <lock>) at a.c:9'
	same 'a … b 5 …' 'a 1 2 3 b 5 x'
	same '…' 'anything'
	differs 'a … b' 'a c'
	differs 'a …' 'b c'
	differs '#0 futex_wait (…) at a.c:9' '#0 futex_wait (private=0) at a.c:10'
	differs 'a … 100 b' 'a 1 2 200 b'
}

test_order() {
	same $'a\nb' $'b\na' -v unordered=1
	same $'a\n...' $'b\na' -v unordered=1
	differs $'a\na' $'b\na' -v unordered=1
	differs $'a\na' a -v unordered=1
	differs $'a' $'b\na' -v unordered=1
	differs $'a\nc' $'b\na' -v unordered=1
}

test_explanation() {
	local said
	said=$(compare $'a\nb\n...' $'a\nc')
	[ "$said" = $'- 2 b\n+ c' ] || wrong "the explanation is: $said"
	said=$(compare b "$(seq 100)")
	[ "$(tail -n 2 <<<"$said")" = $'+ 40\n+ ...' ] || wrong "the explanation of many lines is: $said"
	said=$(compare $'a\nb' $'b\na')
	[[ $said == '- 1 (the lines are there, but in another order)'* ]] || wrong "the explanation is: $said"
}

# ---- blocks --------------------------------------------------------------------------------------

# document LINE...: writes it.
document() { printf '%s\n' "$@" >"$OUT/x.md"; }

blocks() { awk -v into="$OUT" -f tests/handouts/blocks.awk "$OUT/x.md" 2>&1; }

test_blocks() {
	document 'text' '```console' '$ not this' '```' '````' '```console run' '$ nor this' '```' '````' \
		'```console run ~50% any' '$ first' 'a' '' '```b' '' '$ second \' '> goes on' '```' \
		'- item' '  ```console run host' '  $ third' '  c' '  ```' '~~~console run' '$ fourth' '```' '~~~'
	expect_blocks $'1 11 12 14 0 ~50% any\n2 16 18 17 0 ~50% any\n3 21 22 22 2 host\n4 25 26 26 0'
	[ "$(cat "$OUT/1.expected")" = $'a\n\n```b' ] || wrong "the output of the first is: $(cat "$OUT/1.expected")"
	[ "$(cat "$OUT/2.command")" = $'second \\\ngoes on' ] || wrong "the second is: $(cat "$OUT/2.command")"
	[ "$(cat "$OUT/3.expected")" = c ] || wrong "the output of the third is: $(cat "$OUT/3.expected")"
	document '```console run quickly' '$ x' '```'
	expect_blocks "$OUT/x.md:1: \"quickly\" is no word of an executable block."$'\n1 2 3 2 0 quickly'
	document '```console run' 'x' '```'
	expect_blocks "$OUT/x.md:2: output before the first command; a command begins with \"\$ \"."
	document '' '```console run' '$ x'
	expect_blocks "$OUT/x.md:2: the block that begins here does not end."
}
expect_blocks() {
	local got
	got=$(blocks)
	[ "$got" = "$1" ] || wrong "the blocks are: $got"
}

# ---- whole documents -----------------------------------------------------------------------------

# run [VARIABLE=VALUE]: the document, without a stack.
run() {
	env "$@" OUT="$OUT" bash -c '
		set -uo pipefail
		. tests/e2e/lib.sh
		. tests/handouts/document.sh
		fresh_stack() { :; }
		shell_of() { exec bash; }
		app_pid() { echo 42; }
		last_begun() { echo none; }
		has_begun_after() { true; }
		SICKBAY_PORT_APP=16070 SICKBAY_PORT_DESK=16073 SICKBAY_PORT_PPROF=16071 SICKBAY_PORT_PPROF2=16072
		SICKBAY_CAPTURES=./tests/captures
		STACK=sickbay-handouts
		(run_document "$OUT/x.md")' >"$OUT/log" 2>&1
}
passes() { run A=b || wrong "it drifts: $(cat "$OUT/log")"; }
drifts() { # LINE SENTENCE
	! run A=b || wrong "no drift is seen: $2"
	grep -q -F -x -e "$OUT/x.md:$1: $2" "$OUT/log" || wrong "instead of $1: $2: $(cat "$OUT/log")"
}

test_commands_share_a_shell() {
	document '```console run' '$ x=5; cd /tmp' '```' '```console run host' '$ echo "[$x]"; cat' '[]' '```' \
		'```console run' '$ echo "$x $PWD"' '5 /tmp' '$ printf no-newline' 'no-newline' '$ echo wrong >&2' 'wrong' \
		'$ echo http://127.0.0.1:16073 localhost:16070 sickbay-handouts-app-1' 'http://127.0.0.1:8000 localhost:6060 sickbay-app-1' '```'
	passes
}

test_drifts_have_their_line() {
	document 'text' '```console run' '$ echo a; echo b' 'a' 'c' '```'
	drifts 5 'not what is said: echo a; echo b'
	document '```console run' '$ echo a' '```'
	drifts 2 'not what is said: echo a'
	document '```console run' '$ false' '```'
	drifts 2 'its exit status is 1; it said:'
	document '```console run fails' '$ true' '```'
	drifts 2 'it must fail, and did not'
	document '```console run 1s' '$ read -r x < <(sleep 3)' '```' '```console run' '$ echo not typed any more' '```'
	drifts 2 'it did not end within 1 s: read -r x < <(sleep 3)'
	! grep -q 'any more' "$OUT/log" || wrong 'a document goes on after a command that does not end'
}

test_words() {
	document '```console run fails' '$ echo a; false' 'a' '```' '```console run any' '$ echo b' 'something else' '```' \
		'```console run unordered' '$ echo c; echo d' 'd' 'c' '```' '```console run ~100%' '$ echo 200' '100' '```' \
		'```console run background' "\$ while ! [ -e $OUT/end ]; do sleep 0.1; done; echo ended >$OUT/ended" '```' \
		'```console run' "\$ touch $OUT/end; until [ -e $OUT/ended ]; do sleep 0.1; done; echo it runs beside" 'it runs beside' '```'
	passes
	document '```console run any' '$ false' '```'
	drifts 2 'its exit status is 1; it said:'
}

test_update() {
	local before
	document '```console run' '$ echo 100 files' '110 files' '' '$ echo new; echo' 'old' 'older' '$ echo more' '```' \
		'- item' '  ```console run' '  $ echo indented' '  old' '  ```' '```console run any' '$ echo x' 'an example' '$ echo another' '```' \
		'```console run' '$ seq 100' '...' 'none' '```' '```console run' \
		'$ printf "%s\n" 1 "in f (a=1) at x/f.c:9" "g.c:5 7 x" 2' '...' 'in f (…) at x/f.c:8' 'g.c:4 1 …' '...' '```'
	chmod 640 "$OUT/x.md"
	run UPDATE=1 || wrong "UPDATE=1 leaves drifts: $(cat "$OUT/log")"
	document_is '```console run' '$ echo 100 files' '110 files' '' '$ echo new; echo' 'new' '$ echo more' 'more' '```' \
		'- item' '  ```console run' '  $ echo indented' '  indented' '  ```' '```console run any' '$ echo x' 'an example' '$ echo another' 'another' '```' \
		'```console run' '$ seq 100' "$(seq 39)" '...' '```' '```console run' \
		'$ printf "%s\n" 1 "in f (a=1) at x/f.c:9" "g.c:5 7 x" 2' '...' 'in f (…) at x/f.c:9' 'g.c:5 7 x' '...' '```'
	[ "$(stat -c %a "$OUT/x.md")" = 640 ] || wrong 'UPDATE=1 changes the mode'
	before=$(stat -c %i "$OUT/x.md")
	run UPDATE=1 || wrong "what was updated drifts: $(cat "$OUT/log")"
	[ "$(stat -c %i "$OUT/x.md")" = "$before" ] || wrong 'UPDATE=1 writes a document that matches'
	document '```console run' '$ echo "\$ x"' '```'
	! run UPDATE=1 || wrong 'output that looks like a command is written'
	document_is '```console run' '$ echo "\$ x"' '```'
}
document_is() { diff -u <(printf '%s\n' "$@") "$OUT/x.md" >"$OUT/said" || wrong "after UPDATE=1: $(cat "$OUT/said")"; }

while read -r name; do
	"$name"
done < <(declare -F | sed -n 's/^declare -f \(test_.*\)/\1/p')
exit "$failed"
