# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034 # expanded in the toolbox; read by lib.sh
# What an attendee of each lab would take, for those who cannot: profiles/NN-name/{before,during,after}. Each
# workshop/labs/NN-name/capture is a test here. It says STEP (or PAIR) and has a function for each stage, in
# these words:
#
#   to_step N                 takes the patient there
#   requests N                one after the other, each answered
#   request_beside            one that goes on
#   take FILE COMMAND [SIGN]  what the command prints in the toolbox
#   profile NAME PATH [SIGN]  /debug/pprof/PATH as NAME.pb.gz
#   take_strace FILE OPTIONS [SIGN]   of one request
#   take_trace [SIGN]         of one request
#   seconds_of_leaking N      until the pair has said so
#
# SIGN is what it is taken for: of a profile a function, of a text the lines that match a regular expression;
# "!SIGN" must not be in it.
#
#   COMPARE=1   the captures that are there stay, and must show as much of each sign as new ones do

export SICKBAY_CAPTURES=./$OUT/captures

# ---- taking --------------------------------------------------------------------------------------

note() { printf '%s\n' "$*" >>"$made/PROVENANCE"; }

to_step() {
	goto_step "$1"
	note "    - step $1"
}

requests() {
	hello "$1"
	note "    - $1 requests"
}

request_beside() {
	local before
	before=$(last_begun)
	toolbox_background 'curl -s -o /dev/null --max-time 60 localhost:6060/'
	within 5 has_begun_after "$before" || fail 'the request has not reached the patient'
	note '    - a request that goes on'
}

# put FILE SIGN NOTE SCRIPT: what SCRIPT prints; NOTE is how a person would take it.
put() {
	local file=$made/$stage/$1
	toolbox "$4" >"$file"
	# In what could not be taken no sign is, either.
	[ -s "$file" ] || fail "$stage/$1 is empty"
	[[ $1 != *.gz ]] || gzip -t "$file" || fail "$stage/$1 is no profile: $(head -c 200 "$file")"
	[ -z "$2" ] || signs+=("$stage/$1 $2")
	note "    $(printf '%-18s' "$1") $3"
}

take() { put "$1" "${3:-}" "$2" "$2"; }
profile() { take "$1.pb.gz" "curl -sS 'localhost:6060/debug/pprof/$2'" "${3:-}"; }

take_strace() {
	put "$1" "${3:-}" "strace -f $2 -p \$APP_PID (during a request)" "
		strace -f $2 -p \$APP_PID -o /tmp/strace.out 2>/dev/null &
		for try in \$(seq 100); do
			[ -n \"\$(grep -L '^TracerPid:.[1-9]' /proc/\$APP_PID/task/*/status)\" ] || break
			sleep 0.1
		done
		curl -sS --max-time 20 -o /dev/null localhost:6060/
		kill -INT %1
		wait
		cat /tmp/strace.out"
}

take_trace() {
	put trace.pftrace "${1:-}" "curl -sS 'localhost:6060/debug/pprof/trace?seconds=1' (during a request)" "
		(sleep 0.3; curl -sS --max-time 20 -o /dev/null localhost:6060/) &
		curl -sS 'localhost:6060/debug/pprof/trace?seconds=1'"
}

# ---- the pairs -----------------------------------------------------------------------------------

leak() { COMPOSE_PROJECT_NAME=$STACK docker/leak.sh "$@"; }

seconds_of_leaking() {
	within 90 grep -q "^leaky | \[AFTER ${1}s\]" "$console" || fail "the pair has not said so: $(cat "$console")"
	note "    - ${1} s after the start"
}

begin_patient() {
	if [ -n "$PAIR" ]; then
		console=$OUT/console
		TOOLBOX=leaks-toolbox
		leak "$PAIR" '' '' '' >"$console" 2>&1 &
	else
		docker restart --time 2 "$(container app)" >/dev/null
		within 15 healthy || fail 'the patient does not answer'
	fi
}

end_patient() {
	if [ -n "$PAIR" ]; then leak '' '' '' 1; else goto_step 0; fi
}

# ---- comparing -----------------------------------------------------------------------------------

# amount FILE SIGN: how much of it there is: percent of a profile, lines of a text, or whether a trace has it.
amount() {
	case $1 in
	*.pb.gz)
		docker exec -i "$(container toolbox)" bash -c 'cat >/tmp/amount.pb.gz
			pprof -top -cum -nodefraction=0 -nodecount=10000 /tmp/amount.pb.gz 2>/dev/null' <"$1" |
			awk -v sign="$2" '$6 == sign { percent = int($5) } END { print percent + 0 }'
		;;
	*.pftrace) grep -a -q -e "$2" "$1" && echo 1 || echo 0 ;;
	*) grep -c -E -e "$2" "$1" || true ;;
	esac
}

# has_sign FOLDER FILE SIGN [AMOUNT]: about as much as that, or some.
has_sign() {
	local amount low=1 high=1000000
	amount=$(amount "$1/$2" "${3#!}")
	if [[ $3 == !* ]]; then
		low=0 high=0
	elif [ "$#" -eq 4 ]; then
		low=$(($4 - $4 / 4 - 2)) high=$(($4 + $4 / 4 + 2))
	fi
	expect_between "$amount" "$low" "$high" "amount of '${3#!}' in $1/$2"
}

# Before the first capture is replaced.
version=$(git describe --tags --always --dirty 2>/dev/null || awk '/^## / { print $2; exit }' CHANGELOG.md)

capture_lab() { # NAME
	local name=$1 stage sign signs=() made=$OUT/$1 kept=profiles/$1 console STEP='' PAIR=''
	# shellcheck source=/dev/null
	. "workshop/labs/$name/capture"
	mkdir -p "$made"
	note "Captures of workshop/labs/$name, made by: make capture ONLY=$name"
	note "version $version, $(date -u +%Y-%m-%d), ${STEP:+step $STEP}${PAIR:+make leak PAIR=$PAIR}"
	begin_patient
	for stage in before during after; do
		mkdir -p "$made/$stage"
		note "$stage"
		"$stage"
	done
	end_patient
	for sign in "${signs[@]}"; do
		has_sign "$made" "${sign%% *}" "${sign#* }"
		[ -z "${COMPARE:-}" ] || has_sign "$kept" "${sign%% *}" "${sign#* }" "$(amount "$made/${sign%% *}" "${sign#* }")"
	done
	[ -n "${COMPARE:-}" ] || { rm -rf "$kept" && mv "$made" "$kept"; }
}

for lab in workshop/labs/*/capture; do
	name=$(basename "$(dirname "$lab")")
	add "$name" capture_lab "$name"
done
