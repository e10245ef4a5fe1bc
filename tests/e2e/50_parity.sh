# shellcheck shell=bash
# shellcheck disable=SC2016 # what stands in single quotes is expanded in the toolbox
# workshop/parity.md, line by line: each row whose middle cell has a command is a test. What to expect
# stands in a comment of its last cell, where readers do not see it (other pages: 60_core_files.sh):
#
#   <!-- key: value; key: value -->
#     step: N        goes to that step first
#     before: N requests
#     during: request   one is made while the command runs, as soon as it listens or traces
#     expect: REGEX  in what it prints; without: exit status 0 is all that is asked
#     interrupt: N   Ctrl-C after N seconds; the exit status is not looked at
#     web: PORT WORD waits until its flame graph, asked from this machine, shows WORD; then Ctrl-C
#     stdin: TEXT    is typed into it
#     tty            needs a terminal
#     host           is typed on this machine instead of in the toolbox
#     dies           the patient does, and must come back
#     cores          skipped where this machine's cores do not reach /cores
PARITY=workshop/parity.md

# parity_rows PAGE: the commands and what is expected, a pair of lines for each row that has a command.
parity_rows() {
	awk '
		/^\| / {
			line = $0
			gsub(/\\\|/, "\001", line) # a bar inside of a cell
			count = split(line, cell, "|")
			ours = cell[3]
			gsub(/^ +| +$/, "", ours)
			if (ours == "the same") ours = cell[2]
			if (!match(ours, /`.+`/)) next
			ours = substr(ours, RSTART + 1, RLENGTH - 2)
			expected = "none"
			for (i = 4; i < count; i++)
				if (match(cell[i], /<!-- .* -->/)) expected = substr(cell[i], RSTART + 5, RLENGTH - 9)
			gsub(/\001/, "|", ours)
			gsub(/\001/, "|", expected)
			print ours
			print expected
		}' "$1"
}

# wish KEY EXPECTED: the value of one key; false when it is not there.
wish() {
	local part
	while IFS= read -r part; do
		case $part in
		"$1") return 0 ;;
		"$1: "*)
			echo "${part#"$1: "}"
			return 0
			;;
		esac
	done <<<"${2//; /$'\n'}"
	return 1
}

# request_when_ready COMMAND: a request, in the background, as soon as COMMAND can see it.
request_when_ready() {
	toolbox_background '
		for try in $(seq 50); do
			case "'"${1%% *}"'" in
			strace | ltrace | gdb) grep -q "^TracerPid:.0" /proc/$APP_PID/task/*/status || break ;;
			*) break ;;
			esac
			sleep 0.1
		done
		curl -s -o /dev/null --max-time 20 localhost:6060/'
}

prepare() { # COMMAND EXPECTED
	local step count
	# ltrace may take the patient with it when it lets go: the next row begins with a living one.
	within 10 healthy || fail 'the patient does not answer'
	if step=$(wish step "$2"); then goto_step "$step"; fi
	if count=$(wish before "$2"); then hello "${count%% *}"; fi
	if wish during "$2" >/dev/null; then
		# What looks once must find the request there; what watches is there first.
		case $1 in
		strace* | ltrace* | *" 'break "*) request_when_ready "$1" ;;
		*)
			toolbox_background 'curl -s -o /dev/null --max-time 20 localhost:6060/'
			within 5 began_after "$(wc -l < <(app_log))" || true
			;;
		esac
	fi
}

began_after() { tail -n "+$1" < <(app_log) | grep 'Starting processing' >/dev/null; }

# type_it COMMAND EXPECTED: runs it as a person would, for at most a minute.
type_it() {
	local options=(-T) limit=(timeout -k 2 60) input=/dev/null
	if wish tty "$2" >/dev/null; then options=(-T -e TERM=xterm); fi
	if wish interrupt "$2" >/dev/null; then limit=(timeout -k 2 -s INT "$(wish interrupt "$2")"); fi
	if wish stdin "$2" >/dev/null; then
		wish stdin "$2" >"$OUT/stdin"
		input=$OUT/stdin
	fi
	if wish host "$2" >/dev/null; then
		COMPOSE_PROJECT_NAME=$STACK timeout 60 bash -c "${1/docker compose exec/docker compose exec -T}" <"$input" 2>"$OUT/stderr"
		return
	fi
	docker compose -p "$STACK" exec "${options[@]}" toolbox "${limit[@]}" bash -lc "$1" <"$input" 2>"$OUT/stderr"
}

# look_at_web COMMAND PORT WORD: its page on this machine, then Ctrl-C.
look_at_web() {
	local port
	port=$(published "$2")
	docker compose -p "$STACK" exec -T toolbox timeout -k 2 -s INT 30 bash -lc "$1" >"$OUT/web.log" 2>&1 </dev/null &
	if ! within 25 page_has "$port" "$3"; then
		show "$(cat "$OUT/web.log")"
		fail "no '$3' at http://127.0.0.1:$port/ui/flamegraph"
	fi
	expect_match "$(cat "$OUT/web.log")" "open http://127\\.0\\.0\\.1:$port " 'what it says'
	toolbox "pkill -INT -f 'libexec/pprof .*0.0.0.0:$2'"
	wait
}

page_has() { [[ $(from_host "$1" /ui/flamegraph) == *"$2"* ]]; }

parity_row() { # COMMAND EXPECTED
	local said status=0 web regex pid
	if wish cores "$2" && ! cores_arrive; then return; fi
	prepare "$1" "$2"
	echo "\$ $1"
	if web=$(wish web "$2"); then
		look_at_web "$1" "${web%% *}" "${web#* }"
		return
	fi
	if wish dies "$2"; then pid=$(toolbox 'echo $APP_PID'); fi
	said=$(type_it "$1" "$2") || status=$?
	# Not mixed: a progress bar would cut the answer's line.
	said+=$'\n'$(cat "$OUT/stderr")
	if regex=$(wish expect "$2"); then expect_match "$said" "$regex" 'what it prints'; fi
	if wish dies "$2"; then within 10 is_back_and_not "$pid" || fail 'the patient did not come back'; fi
	wish interrupt "$2" >/dev/null || [ "$status" -eq 0 ] || {
		show "$said"
		fail "its exit status is $status"
	}
}

# Every command that the seeds show has its row; the table cannot shrink unnoticed.
test_parity_table_is_complete() {
	local count
	count=$(($(parity_rows "$PARITY" | wc -l) / 2))
	expect_between "$count" 50 200 'rows with a command'
}

while IFS= read -r ours && IFS= read -r expected; do
	add "parity: $ours" parity_row "$ours" "$expected"
done < <(parity_rows "$PARITY")

# The limit of the host's rows, and whatever else was left: as it was.
test_parity_leaves_the_patient_well() {
	compose up --detach --wait --no-build >/dev/null 2>&1
	goto_step 0
	hello 1
}
