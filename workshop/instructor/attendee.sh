#!/usr/bin/env bash
# attendee.sh NUMBER: the settings of that attendee's stack in a room, a NAME=VALUE each line. They follow from
# the number alone: there is nothing to keep, and nothing to lose.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

ATTENDEES_MAX=40
PORTS=(DESK APP PPROF PPROF2 LEAKY FIXED PPROF_LEAKS PROMETHEUS) # ten apart, for what may come

main() {
	local number=$1 project first i
	if ! [[ $number =~ ^[1-9][0-9]?$ ]] || [ "$number" -gt "$ATTENDEES_MAX" ]; then
		die "'$number' is no attendee; they are numbered from 1 to $ATTENDEES_MAX"
	fi
	first=$(($(setting SICKBAY_PORT_ROOM 20000) + 10 * number))
	project=$(setting COMPOSE_PROJECT_NAME sickbay)-room-$number
	echo "COMPOSE_PROJECT_NAME=$project"
	echo "SICKBAY_CAPTURES=./profiles/$project"
	# Each look is a process in a container: those of ten attendees every 2 s would take more than a core.
	echo SICKBAY_HEALTH_SECONDS=5
	for i in "${!PORTS[@]}"; do
		echo "SICKBAY_PORT_${PORTS[i]}=$((first + i))"
	done
}

main "$@"
