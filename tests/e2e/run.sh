#!/usr/bin/env bash
# The whole stack under test: builds the images, starts a stack of its own name and ports (a running
# workshop is untouched), runs every test of the files beside this one, and takes all of it down
# again, also when it is interrupted.
#
#   ONLY=pattern      tests whose name matches (an extended regular expression)
#   TOPICS=folder     the tests of another folder: tests/handouts, tests/captures, tests/nightly
#   KEEP=1            leave the stack up, to look at it
#   E2E_PROJECT=name  compose project, default sickbay-test: two suites side by side need two names
#   E2E_PORT=number   first of its ports, default 16060
# shellcheck disable=SC2317 # traps and tests are called by name
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source-path=SCRIPTDIR source=lib.sh
. tests/e2e/lib.sh

# Images of its own, too: another suite may build from other sources meanwhile.
export SICKBAY_TAG=${E2E_PROJECT#sickbay-} APP_STEP=0 APP_NOFILE='' COMPOSE_PROGRESS=plain
export SICKBAY_PORT_APP=$E2E_PORT SICKBAY_PORT_PPROF=$((E2E_PORT + 1)) SICKBAY_PORT_PPROF2=$((E2E_PORT + 2)) SICKBAY_PORT_DESK=$((E2E_PORT + 3))
# Of the profiles: any that are free.
export SICKBAY_PORT_LEAKY=0 SICKBAY_PORT_FIXED=0 SICKBAY_PORT_PPROF_LEAKS=0 SICKBAY_PORT_PROMETHEUS=0
unset COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_PROFILES
TOPICS=${TOPICS:-tests/e2e}
SUITE=${TOPICS##*/}
OUT=tests/e2e/out/$E2E_PROJECT
# Process groups that must not outlive us.
running='' watchdog=''

say() { echo "$SUITE: $*"; }

# attended COMMAND...: so that a signal is heard while it runs; ends with it.
attended() {
	local status=0
	set -m
	"$@" </dev/null &
	running=$!
	set +m
	wait "$running" || status=$?
	running=
	return "$status"
}

# leftovers: every project of ours that has something standing or kept.
leftovers() {
	local project_of='{{.Label "com.docker.compose.project"}}'
	{
		echo "$E2E_PROJECT"
		cat "$OUT/projects" 2>/dev/null
		{
			docker ps --all --format "$project_of"
			docker volume ls --format "$project_of"
		} | grep -E "^$E2E_PROJECT-" || true
	} | sort -u
}

remove_leftovers() {
	local project downs=()
	for project in $(leftovers); do
		docker compose -p "$project" --profile '*' down --volumes --remove-orphans --timeout 1 </dev/null >>"$OUT/down.log" 2>&1 &
		downs+=("$!")
	done
	wait "${downs[@]}"
}

tear_down() {
	local group
	trap '' INT TERM HUP
	for group in $running $watchdog; do kill -TERM -- "-$group" 2>/dev/null; done
	if [ -n "${KEEP:-}" ]; then
		say "left up: docker compose -p $E2E_PROJECT exec toolbox bash -l"
		return
	fi
	remove_leftovers
}

interrupted() {
	say "interrupted; taking the stack down"
	exit 130
}

# quietly WHAT COMMAND...: shows what it said only when it failed.
quietly() {
	local what=$1 begun=$SECONDS
	shift
	say "$what ..."
	if ! attended "$@" >"$OUT/setup.log" 2>&1; then
		tail -n 60 "$OUT/setup.log" >&2
		say "failed: $what"
		echo "$SUITE: 0 passed, 1 failed"
		exit 1
	fi
	say "$what: $((SECONDS - begun)) s"
}

# add NAME FUNCTION [ARGUMENT...]: one test; topic files call it for those they generate.
add() {
	[[ $1 =~ ${ONLY:-} ]] || return 0
	tests+=("$(printf '%q ' "$@")")
}

# add_functions FILE: each test_ function of it, in order, is a test named as its function.
add_functions() {
	local function
	while read -r function; do
		add "${function#test_}" "$function"
	done < <(sed -n 's/^\(test_[a-z0-9_]*\)() .*/\1/p' "$1")
}

# What a topic begins before the first test.
before_all() { :; }

main() {
	local topic test
	tests=()
	for topic in "$TOPICS"/[0-9]*.sh; do
		# shellcheck source=/dev/null
		. "$topic"
		add_functions "$topic"
	done
	[ "${#tests[@]}" -gt 0 ] || { echo "$SUITE: 0 passed, 0 failed: no test matches '${ONLY:-}'" && exit 1; }
	mkdir -p "$OUT"
	rm -rf "${OUT:?}"/*
	trap tear_down EXIT
	trap interrupted INT TERM HUP
	quietly 'fetching what reads traces' docker/npm.sh perfetto-ui argent
	quietly 'building the images' docker compose -p "$E2E_PROJECT" --profile leaks build
	quietly 'removing what an earlier run left' remove_leftovers
	quietly 'starting the stack' docker compose -p "$E2E_PROJECT" up --detach --wait --wait-timeout 60 --no-build
	before_all
	for test in "${tests[@]}"; do
		eval "run_test $test"
	done
	echo "$SUITE: $passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

main "$@"; exit
