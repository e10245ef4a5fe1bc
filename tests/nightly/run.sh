#!/usr/bin/env bash
# make nightly: all that is promised, on a fresh clone of what is committed. Each part ends with lines
# 'N passed, N failed'; the table at the end has them all. Takes about two hours.
#
#   ONLY=pattern   parts whose name matches
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. docker/lib.sh

LOGS=$PWD/build/nightly
failed_parts=0

# part NAME COMMAND...: in the clone. A part that counts nothing is one test.
part() {
	local name=$1 log=$LOGS/$1.log status=0 begun=$SECONDS
	shift
	[[ $name =~ ${ONLY:-} ]] || return 0
	say "nightly: $name"
	# What this make was told is not for those of the parts: ONLY would choose among their tests.
	(cd "$clone" && unset ONLY MAKEFLAGS MFLAGS MAKELEVEL && "$@") </dev/null 2>&1 | tee "$log" || status=$?
	if ! grep -q -E '^[a-z0-9]+: [0-9]+ passed, [0-9]+ failed' "$log"; then
		echo "$name: $((status == 0)) passed, $((status != 0)) failed" >>"$log"
	fi
	if [ "$status" -ne 0 ]; then
		failed_parts=$((failed_parts + 1))
		# It may have ended before it could count what failed.
		grep -q -E '^[a-z0-9]+: [0-9]+ passed, [1-9]' "$log" || echo "$name: 0 passed, 1 failed" >>"$log"
	fi
	sed -n -E "s/^([a-z0-9]+): ([0-9]+) passed, ([0-9]+) failed.*/$name \\1 \\2 \\3/p" "$log" |
		awk -v seconds=$((SECONDS - begun)) '{ print $0, NR == 1 ? seconds : "" }' >>"$LOGS/table"
}

table() {
	printf '\n%-10s %-10s %8s %8s %8s\n' part layer passed failed seconds
	awk '{ printf "%-10s %-10s %8d %8d %8s\n", $1, $2, $3, $4, $5; passed += $3; failed += $4 }
		END { printf "\nnightly: %d passed, %d failed\n", passed, failed }' "$LOGS/table"
}

up_from_nothing() {
	local status=0
	SICKBAY_BUILD=--no-cache make up || status=$?
	make down VOLUMES=1
	return "$status"
}

tear_down() {
	(cd "$clone" && docker compose -p "$COMPOSE_PROJECT_NAME" --profile '*' down --volumes --timeout 1) >/dev/null 2>&1
	rm -rf "${clone%/*}"
}

main() {
	# Of its own, so that a running workshop is left alone, and images are built anew.
	export SICKBAY_TAG=nightly COMPOSE_PROJECT_NAME=sickbay-nightly SICKBAY_PORT_APP=26060 SICKBAY_PORT_DESK=26061 \
		SICKBAY_PORT_PPROF=26062 SICKBAY_PORT_PPROF2=26063
	rm -rf "$LOGS"
	mkdir -p "$LOGS"
	clone=$(mktemp -d)/sickbay
	trap tear_down EXIT
	git clone -q . "$clone" || die "this is not a git checkout; nightly tests what is committed"
	part up up_from_nothing
	part test make test
	part handouts make handouts
	part captures make capture COMPARE=1
	part controls env NIGHTLY=1 ONLY='verify|fixed|answer' make e2e
	part bundle tests/nightly/bundle.sh
	part soak env TOPICS=tests/nightly TEST_SECONDS=1800 make e2e
	table
	[ "$failed_parts" -eq 0 ]
}

main "$@"
