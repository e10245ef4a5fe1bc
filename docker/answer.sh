#!/usr/bin/env bash
# answer.sh STEP PAIR FUNCTION RESOURCE: 'make answer'. Whether that is what is wrong in this step, or with this
# pair; exits with 0 when it is. The desk knows, and keeps it.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

EXAMPLE='make answer STEP=2 FUNCTION=do_something RESOURCE=paper'

check() {
	case $1/$2 in
	[0-7]/ | /file | /http) ;;
	*/) die "STEP is '$1'; it must be 0 to 7, as in: $EXAMPLE" ;;
	/*) die "PAIR is '$2'; it must be file or http, as in: ${EXAMPLE/STEP=2/PAIR=file}" ;;
	*) die "name a step or a pair, not both, as in: $EXAMPLE" ;;
	esac
	[ -n "$3" ] || die "FUNCTION is missing: the one whose fault it is, as in: $EXAMPLE"
	[ -n "$4" ] || die "RESOURCE is missing: what it leaks, burns, churns or holds, as in: $EXAMPLE"
}

main() {
	local lab=${1:+step=$1}${2:+pair=$2}
	check "$@"
	ask_desk /labs/answer --data "$lab" --data-urlencode "function=$3" --data-urlencode "resource=$4" |
		docker compose exec -T toolbox jq -r 'if .right then .text else .text + "\n" | halt_error(1) end'
}

main "$@"
