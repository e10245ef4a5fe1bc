#!/usr/bin/env bash
# limit.sh NOFILE: 'make limit'. How many files the patient that runs may have open: its soft limit. Without
# NOFILE it is only said; 'make reset' brings back what the patient was started with. The hard limit stays:
# above the soft one lives the debug plane.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

LEAST=32 # as of APP_NOFILE

# patient: "PID SOFT HARD OPEN" of the one that runs; false where none does.
patient() {
	# shellcheck disable=SC2016 # expanded in the toolbox
	docker compose exec -T toolbox bash -c '
		[ -n "$APP_PID" ] || exit 1
		echo "$APP_PID $(sed -n "s/^Max open files *\([0-9]*\) *\([0-9]*\) .*/\1 \2/p" "/proc/$APP_PID/limits") $(ls "/proc/$APP_PID/fd" | wc -l)"' </dev/null
}

# check NOFILE HARD OPEN
check() {
	if ! [[ $1 =~ ^[1-9][0-9]{0,6}$ ]] || [ "$1" -lt "$LEAST" ] || [ "$1" -gt "$2" ]; then
		die "NOFILE is '$1'; it must be a whole number from $LEAST to the hard limit, $2, as in: make limit NOFILE=64"
	fi
	[ "$1" -gt "$3" ] ||
		die "the patient has $3 files open already, and could open none with a limit of $1; choose more, or leave the step first: make reset"
}

# nobody: why there is no patient to speak of.
nobody() {
	is_running toolbox ||
		die "the stack is not up. Type: make up"
	die "the patient is not running; look at: make logs"
}

main() {
	local nofile=$1 pid soft hard open
	read -r pid soft hard open < <(patient 2>/dev/null) || nobody
	if [ -z "$nofile" ]; then
		say "the patient may have $soft files open (hard limit $hard), and has $open"
		return
	fi
	check "$nofile" "$hard" "$open"
	# Only its own user may, or somebody with a capability that the toolbox has not.
	docker compose exec -T -u 10001:10001 toolbox prlimit --pid "$pid" --nofile="$nofile:" </dev/null
	say "the patient may have $nofile files open now; it could have $soft before (hard limit $hard), and has $open"
}

main "${1:-}"
