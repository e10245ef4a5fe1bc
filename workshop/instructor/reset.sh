#!/usr/bin/env bash
# make reset: the patient back to step 0, with the limit of open files that it was started with; one that
# does not answer is restarted.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

in_toolbox() { docker compose exec -T toolbox "$@"; }

main() {
	is_running toolbox ||
		die "the stack is not up. Type: make up"
	if in_toolbox curl -fsS --max-time 5 'http://localhost:6060/goto?step=0'; then
		echo
		docker/limit.sh start
		return
	fi
	say "the patient does not answer; restarting it"
	docker compose restart --timeout 2 app >/dev/null 2>&1
	wait_for 15 "the patient" in_toolbox curl -fsS --max-time 2 http://localhost:6060/healthz ||
		die "the patient did not come back. Look at: make logs"
	# A room may start its patients in a step of their own.
	in_toolbox curl -fsS --max-time 5 'http://localhost:6060/goto?step=0'
	echo
}

main "$@"
