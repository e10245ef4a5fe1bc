# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by lib.sh
# make leak: the leaky program beside the fixed one, and what each tool says of them. On a project of its own,
# without the workshop.

LEAK_CONSOLE=$OUT/leak-console

# make_leak PAIR NOFILE COMPARE STOP
make_leak() {
	COMPOSE_PROJECT_NAME=$STACK docker/leak.sh "$@" 2>&1
}

# leaks_stack: from now on that of the leaks, and its toolbox.
leaks_stack() {
	STACK=$E2E_PROJECT-leaks
	TOOLBOX=leaks-toolbox
	echo "$STACK" >>"$OUT/projects"
}

# leaks_begin PAIR: returns when both have spoken three times.
leaks_begin() {
	leaks_stack
	: >"$LEAK_CONSOLE" # what an earlier test left there is not ours
	make_leak "$1" '' '' '' >"$LEAK_CONSOLE" &
	within 90 three_lines_each || fail "they did not speak: $(cat "$LEAK_CONSOLE")"
}
three_lines_each() { [ "$(grep -c -E '^(leaky|fixed) \| \[AFTER [246]s\]' "$LEAK_CONSOLE")" -eq 6 ]; }

leaks_end() {
	make_leak '' '' '' 1
	wait
	expect_equal "$(standing)" '' 'what is left standing'
}
standing() { docker ps --all --quiet --filter "label=com.docker.compose.project=$STACK"; }

# console SIDE: all it has said.
console() { sed -n "s/^$1 | //p" "$LEAK_CONSOLE"; }
says() { matches "$(console "$1")" "$2"; }
# last_line SIDE, and one that is newer than that.
last_line() { console "$1" | grep '^\[AFTER' | tail -n 1; }
line_is_newer() { [ "$(last_line leaky)" != "$1" ]; }

# console_agrees FIELD COUNT-COMMAND...: what the next line of the leaky one says lies between two looks.
console_agrees() {
	local field=$1 before after line
	shift
	line=$(last_line leaky)
	before=$("$@")
	within 5 line_is_newer "$line" || fail 'no line came'
	line=$(last_line leaky)
	after=$("$@")
	expect_between "$(sed -n "s/.*$field: \([0-9]*\).*/\1/p" <<<"$line")" "$before" "$after" "$field, in its console"
}

# stays_flat VARIABLE COMMAND: for 20 s, but for two that look at it.
stays_flat() {
	local seen
	seen=$(toolbox "for i in \$(seq 20); do $2; sleep 1; done | sort -n | sed -n '1p;\$p'")
	expect_between "$(($(tail -n 1 <<<"$seen") - $(head -n 1 <<<"$seen")))" 0 2 "growth of $1 within 20 s"
}

# line_of FILE TEXT: the number of the first line that has it.
line_of() { awk -v text="$2" 'index($0, text) { print NR; exit }' "$1"; }

# ---- the file pair -------------------------------------------------------------------------------

# file_pair_says START
file_pair_says() {
	local after open
	for after in 2 4 6; do
		open=$(console leaky | sed -n "s/^\[AFTER ${after}s\] Open FDs: \([0-9]*\)  |  Files opened: $((50 * after))\$/\1/p")
		expect_between "$open" $(($1 + 50 * after)) $(($1 + 50 * after + 5)) "descriptors after $after s"
		expect_match "$(console fixed)" "^\[AFTER ${after}s\] Open FDs: [0-9]{1,2}  \|  Files opened: $((50 * after))  \|  Files closed: $((50 * after))\$"
	done
	within 2 says leaky '^WARNING: File descriptor leak detected!$' || fail 'no warning'
	within 2 says fixed '^No leak! File descriptors stable$' || fail 'no all-clear'
	expect_no_match "$(console fixed)" 'WARNING'
	expect_no_match "$(console leaky)" 'No leak!'
}

# file_pair_seen_by_tools START
file_pair_seen_by_tools() {
	local counts
	console_agrees 'Open FDs' toolbox 'ls /proc/$APP_PID/fd | wc -l'
	mapfile -t counts < <(toolbox '
		curl -s localhost:6060/debug/vars | jq .fds
		ls /proc/$APP_PID/fd | wc -l
		lsof -p $APP_PID | grep -c " /tmp/file-leak-[A-Za-z0-9]*/logfile_[0-9]*\.txt$"
		ls /proc/$APP_PID/fd | wc -l')
	expect_between "${counts[1]}" $((counts[0] - 2)) $((counts[0] + 100)) 'descriptors by ls, after /debug/vars'
	expect_between $((counts[2] + $1)) $((counts[1] - 2)) "${counts[3]}" 'files by lsof, and what was open at the start'
	expect_match "$(toolbox 'lsof -p $APP_PID')" '^file-leak +[0-9]+ +app +[0-9]+w +REG .* 15 .*/logfile_[0-9]+\.txt$' 'lsof'
	expect_no_match "$(toolbox 'lsof -p $FIXED_PID')" 'logfile_' 'lsof of the fixed one'
	expect_match "$(toolbox 'gdb -p $APP_PID -batch -ex bt 2>&1')" ' main \(.*at services/leaks/file/main\.c:[0-9]+' 'gdb'
}

file_pair_has_a_culprit() {
	local line seen
	line=$(line_of services/leaks/file/leak.c 'open(path')
	seen=$(get '/debug/pprof/fd?debug=1')
	expect_between "$(sed -n '2s/ @.*//p' <<<"$seen")" 300 5000 'descriptors of the first group'
	expect_match "$(sed -n 4p <<<"$seen")" "	write_log_file\+0x[0-9a-f]+	/src/sickbay/services/leaks/file/leak\.c:$line\$" 'the first group'
	expect_match "$(toolbox 'pprof -top -lines http://localhost:6060/debug/pprof/fd 2>&1')" " write_log_file .*/file/leak\.c:$line\$" 'pprof'
	expect_no_match "$(toolbox 'curl -s "localhost:6061/debug/pprof/fd?debug=1"')" 'write_log_file' 'the fixed one'
}

test_leaks_file_pair() {
	local start threads
	leaks_begin file
	threads=$(vars .threads)
	start=$(console leaky | sed -n 's/^\[START\] Open file descriptors: //p')
	expect_between "$start" 3 30 'descriptors at the start'
	expect_match "$(console leaky)" '^pprof server running on http://localhost:6060$'
	expect_match "$(console fixed)" '^pprof server running on http://localhost:6061$'
	file_pair_says "$start"
	file_pair_seen_by_tools "$start"
	file_pair_has_a_culprit
	stays_flat 'descriptors of file-fixed' 'ls /proc/$FIXED_PID/fd | wc -l'
	expect_equal "$(vars .threads)" "$threads" 'threads of file-leak'
	leaks_end
}

test_leaks_programs_are_locked_up() {
	local seen
	leaks_begin file
	seen=$(toolbox 'cat /proc/$APP_PID/status /proc/$FIXED_PID/status')
	expect_equal "$(grep -c -x 'Uid:	10001	10001	10001	10001' <<<"$seen")" 2 'programs of that user'
	expect_equal "$(grep -c -x 'CapBnd:	0000000000000000' <<<"$seen")" 2 'programs without capabilities'
	expect_equal "$(grep -c -x 'NoNewPrivs:	1' <<<"$seen")" 2 'programs that cannot get any'
	! docker exec "$(container leak-leaky)" sh -c 'echo x >/usr/x' 2>/dev/null || fail 'the root file system can be written'
	docker stop "$(container leak-leaky)" >/dev/null
	expect_equal "$(docker inspect --format '{{.State.ExitCode}}' "$(container leak-leaky)")" 0 'exit status after SIGTERM'
	leaks_end
}

# ---- the HTTP pair -------------------------------------------------------------------------------

# http_pair_says START
http_pair_says() {
	local after count threads
	for after in 2 4 6; do
		count=$((25 * after))
		threads=$(console leaky | sed -n "s/^\[AFTER ${after}s\] Threads: \([0-9]*\)  |  Connections: $count  |  Requests made: $count\$/\1/p")
		expect_between "$threads" $(($1 + count)) $(($1 + count + 2)) "threads after $after s"
		expect_match "$(console fixed)" "^\[AFTER ${after}s\] Threads: [0-9]{1,2}  \|  Connections: [12]  \|  Requests made: $count\$"
	done
	within 2 says leaky '^WARNING: Connection leak detected!$' || fail 'no warning'
	within 2 says fixed '^No leak! Connections properly reused$' || fail 'no all-clear'
	expect_no_match "$(console fixed)" 'WARNING'
}

http_pair_seen_by_tools() {
	local seen
	console_agrees Connections toolbox 'lsof -nP -a -p $APP_PID -i :8080 | grep -c ESTABLISHED'
	console_agrees Connections toolbox 'ss -Htnp state established dport = :8080 | grep -c "\"http-leak\""'
	console_agrees Threads toolbox 'ls /proc/$APP_PID/task | wc -l'
	seen=$(toolbox 'lsof -nP -i :8080')
	expect_match "$seen" '^http-leak +[0-9]+ +app +[0-9]+u +IPv4 .* TCP [0-9.]+:[0-9]+->[0-9.]+:8080 \(ESTABLISHED\)$' 'lsof'
	expect_between "$(grep -c '^http-fixe' <<<"$seen")" 1 2 'connections of http-fixed by lsof'
}

http_pair_has_a_culprit() {
	local line seen
	seen=$(get '/debug/pprof/threads?debug=1')
	expect_between "$(sed -n '2s/ @.*//p' <<<"$seen")" 150 4000 'threads of the first group'
	expect_match "$(sed -n '3,/^$/p' <<<"$seen")" '	recv_response\+0x[0-9a-f]+	/src/sickbay/services/client/' 'the first group'
	expect_no_match "$(toolbox 'curl -s "localhost:6061/debug/pprof/threads?debug=1"')" 'recv_response' 'the fixed one'
	line=$(line_of services/leaks/http/leak.c 'client_open(')
	seen=$(get '/debug/pprof/connections?debug=1')
	expect_match "$(sed -n '3,/^$/p' <<<"$seen")" "	fetch_event\+0x[0-9a-f]+	/src/sickbay/services/leaks/http/leak\.c:$line\$" 'the first group of connections'
	expect_match "$(toolbox 'pprof -top -cum -lines http://localhost:6060/debug/pprof/fd 2>&1')" " fetch_event .*/http/leak\.c:$line\$" 'pprof'
}

test_leaks_http_pair() {
	leaks_begin http
	http_pair_says "$(console leaky | sed -n 's/^\[START\] Threads: //p')"
	http_pair_seen_by_tools
	http_pair_has_a_culprit
	stays_flat 'descriptors of http-fixed' 'ls /proc/$FIXED_PID/fd | wc -l'
	COMPOSE_PROJECT_NAME=$STACK make down
	wait
	expect_equal "$(standing)" '' 'what is left standing'
}

# ---- limits, comparison, refusals ----------------------------------------------------------------

test_leaks_file_leak_at_a_low_limit() {
	local begun said
	leaks_stack
	said=$(make_leak file 256 '' '')
	expect_match "$said" '^leaky \| [0-9/]{10} [0-9:]{8} open /tmp/file-leak-[A-Za-z0-9]{6}/logfile_2[0-9]{2}\.txt: too many open files: 2[0-9]{2} were opened, 0 closed$' 'what was said'
	expect_match "$said" '^leaky \| \[AFTER 4s\] Open FDs: 2[0-9]{2}  \|  Files opened: 200$' 'what was said'
	expect_no_match "$said" '^leaky \| \[AFTER 6s\]' 'what was said'
	expect_match "$said" '^sickbay: the leaky program has ended with status 1;' 'what was said'
	expect_match "$(toolbox 'cat /proc/$FIXED_PID/limits')" '^Max open files +256 ' 'the limits of the fixed one'
	stays_flat 'descriptors of file-fixed' 'ls /proc/$FIXED_PID/fd | wc -l'
	leaks_end
}

# row TABLE METRIC: its other three cells.
row() { awk -F ' *[|] *' -v metric="$2" '$2 == metric { print $3, $4, $5 }' <<<"$1"; }

# reduced TABLE METRIC LOW: the leaky one has LOW at least, the fixed one much less, and so it says.
reduced() {
	local leaky fixed said
	read -r leaky fixed said < <(row "$1" "$2")
	expect_between "$leaky" "$3" 2000 "$2, leaky"
	expect_between "$fixed" 1 $((leaky / 5)) "$2, fixed"
	expect_equal "$said" "$(awk -v a="$leaky" -v b="$fixed" 'BEGIN { printf "%.1f%% reduction", 100 * (a - b) / a }')" "$2, improvement"
}

test_leaks_comparison_of_files() {
	local table
	leaks_stack
	table=$(make_leak file '' 1 '')
	show "$table"
	expect_equal "$(row "$table" Metric)" 'Leaky (10s) Fixed (10s) Improvement' 'the head'
	reduced "$table" 'Open file descriptors' 500
	expect_equal "$(row "$table" 'Files opened')" '500 500 same' 'files opened'
	expect_equal "$(row "$table" 'Files closed')" '0 500 all closed' 'files closed'
	expect_match "$(row "$table" Threads)" '^([0-9]+) \1 same$' 'threads'
	expect_match "$(row "$table" 'Memory (RSS)')" '^[0-9]{2}\.[0-9] MB [0-9]{2}\.[0-9] MB about the same$' 'memory'
	expect_equal "$(standing)" '' 'what is left standing'
}

test_leaks_comparison_of_requests() {
	local table
	leaks_stack
	table=$(make_leak http '' 1 '')
	show "$table"
	expect_equal "$(row "$table" Metric)" 'Leaky (10s) Fixed (10s) Improvement' 'the head'
	reduced "$table" 'Open connections' 250
	reduced "$table" 'Open file descriptors' 500
	reduced "$table" Threads 250
	expect_equal "$(row "$table" 'Requests made')" '250 250 same' 'requests made'
	expect_equal "$(row "$table" 'Responses closed')" '0 250 all closed' 'responses closed'
	expect_match "$(row "$table" 'Memory (RSS)')" '^[0-9]+\.[0-9] MB [0-9]{2}\.[0-9] MB [0-9.]+% reduction$' 'memory'
	expect_equal "$(standing)" '' 'what is left standing'
}

test_leaks_refusals_are_sentences() {
	local value
	leaks_stack
	for value in '' x files 'file http'; do
		expect_match "$(make_leak "$value" '' '' '' || true)" "^sickbay: PAIR is '$value'; it must be file or http"
	done
	for value in 31 16385 x -1; do
		expect_match "$(make_leak file "$value" '' '' || true)" "^sickbay: NOFILE is '$value'; it must be a whole number from 32 to 16384"
	done
	expect_match "$(PAIR=x NOFILE=9 make -n leak)" "^docker/leak\.sh '' '' '' ''\$" 'what make takes from the environment'
}
