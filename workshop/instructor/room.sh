#!/usr/bin/env bash
# 'make room'. A stack for each attendee, all on this machine, each with a project, ports and captures of its
# own (attendee.sh), from one set of images. What to do is in variables:
#   N=5               attendees 1 to 5; those who are there stay as they are
#   STATUS=1          who is where
#   GOTO=3            takes all to a step (VARIANT=fixed)
#   RESET=all|2,4     as 'make reset' for these; HARD, CAPTURES and PROGRESS likewise
#   STOP=1            takes all down, with N those above N (VOLUMES=1: their progress as well)
#   SSH=user@host     how attendees reach this machine, for the lines that they paste
# With words, 'room.sh VERB NUMBER', it does that for one attendee: how it starts itself.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

AT_ONCE=$((2 * $(nproc)))
SERVICES=(anchor app toolbox upstream desk)
: "${N:=}" "${STATUS:=}" "${GOTO:=}" "${VARIANT:=leaky}" "${RESET:=}" "${STOP:=}" "${VOLUMES:=}" "${SSH:=}"
: "${HARD:=}" "${CAPTURES:=}" "${PROGRESS:=}"

project=$(setting COMPOSE_PROJECT_NAME sickbay)-room

# as NUMBER COMMAND...: in that attendee's stack.
as() {
	local settings
	settings=$(workshop/instructor/attendee.sh "$1")
	# shellcheck disable=SC2086 # words
	env $settings "${@:2}"
}

# port NUMBER NAME: on this machine.
port() { workshop/instructor/attendee.sh "$1" | sed -n "s/^SICKBAY_PORT_$2=//p"; }

# present: the numbers of the attendees that have something standing; where volumes are to go, also of those who
# have nothing else any more.
present() {
	local project_of='{{.Label "com.docker.compose.project"}}'
	{
		docker ps --all --format "$project_of"
		[ -z "$VOLUMES" ] || docker volume ls --format "$project_of"
	} | sed -n -E "s/^$project-([0-9]+)\$/\\1/p" | sort -nu
}

# each VERB NUMBER...: side by side, a few at a time; false when one fails.
each() { printf '%s\n' "${@:2}" | xargs -r -n 1 -P "$AT_ONCE" workshop/instructor/room.sh "$1"; }

# ---- one attendee ----------------------------------------------------------------------------------

start_one() {
	local log
	log=$(mktemp)
	as "$1" bash -c '. docker/lib.sh && open_captures'
	# Images may be newer than those who are there, or a mystery be staged: they are in the midst of something.
	if ! as "$1" docker compose up --detach --wait --wait-timeout 60 --no-build --no-recreate >"$log" 2>&1; then
		warn "attendee $1 has no healthy stack: $(tail -n 1 "$log"). See: make logs ATTENDEE=$1"
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

stop_one() {
	as "$1" docker compose --profile '*' down --remove-orphans --timeout 1 ${VOLUMES:+--volumes} >/dev/null 2>&1 ||
		die "attendee $1 could not be taken down. See: make down ATTENDEE=$1"
}

# answer PORT PATH: of a patient or a desk; nothing where it gives none. By bash alone: a container's curl takes
# longer to start than they to answer.
answer() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	timeout 5 bash -c '
		exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
		printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$2" >&3
		sed "1,/^\r*\$/d" <&3' answer "$1" "$2" 2>/dev/null || true
}

goto_one() {
	local said
	said=$(answer "$(port "$1" APP)" "/goto?step=$GOTO&variant=$VARIANT")
	[[ $said == "switched to step "* ]] ||
		die "attendee $1 is not at step $GOTO: ${said:-the patient does not answer; make room RESET=$1}"
}

reset_one() {
	as "$1" workshop/instructor/reset.sh "$HARD" "$CAPTURES" "$PROGRESS" 2>&1 |
		sed "s/^sickbay:/sickbay: attendee $1:/"
}

# health NUMBER: "healthy", or who is not.
health() {
	docker ps --all --filter "label=com.docker.compose.project=$project-$1" \
		--format '{{.Label "com.docker.compose.service"}} {{.State}} {{.Status}}' |
		awk -v services="${SERVICES[*]}" '
			{ state[$1] = $2 ~ /running/ && /unhealthy|starting/ ? "not healthy" : $2 }
			END {
				count = split(services, all, " ")
				for (i = 1; i <= count; i++)
					if (state[all[i]] != "running")
						ill = ill (ill ? ", " : "") all[i] " " (state[all[i]] ? state[all[i]] : "missing")
				print ill ? ill : "healthy"
			}'
}

# marks WHAT: how many of the labs have it, of what the desk says on standard input.
marks() { grep -o "\"$1\":true" | wc -l; }

row_one() {
	local said step='?' variant=- desk labs
	said=$(answer "$(port "$1" APP)" /goto | head -n 1)
	if [[ $said =~ ^step\ ([0-9]+)(\ \((.*)\))? ]]; then
		step=${BASH_REMATCH[1]}
		variant=${BASH_REMATCH[3]:-leaky}
	fi
	desk=$(port "$1" DESK)
	labs=$(answer "$desk" /labs/progress)
	row "$1" "$step" "$variant" "$(marks answered <<<"$labs")" "$(marks verified <<<"$labs")" "$(health "$1")" "http://127.0.0.1:$desk/"
}

# ---- the room --------------------------------------------------------------------------------------

row() { printf '%-8s  %-4s  %-7s  %-8s  %-6s  %-22s  %s\n' "$@"; }

status() {
	row attendee step variant answered mended health desk
	each row "$@" | sort -n
}

# ssh_lines NUMBER...: the whole stack of each on the attendee's own machine, and its toolbox.
ssh_lines() {
	local number where forwards
	where=${SSH:-$(id -un)@$(hostname)}
	echo
	echo 'For each attendee to paste: the desk in their own browser, and a shell in their toolbox.'
	for number in "$@"; do
		forwards=$(workshop/instructor/attendee.sh "$number" |
			sed -n 's/^SICKBAY_PORT_.*=\(.*\)/-L \1:127.0.0.1:\1/p' | tr '\n' ' ')
		echo
		echo "ssh -t $forwards$where make --no-print-directory -C $PWD shell ATTENDEE=$number"
	done
}

start() {
	local numbers highest=${there[*]: -1} begun
	workshop/instructor/attendee.sh "$N" >/dev/null
	[ "${highest:-0}" -le "$N" ] ||
		die "attendee $highest is there. To keep $N, and take those above down: make room N=$N STOP=1"
	docker/engine.sh
	workshop/instructor/doctor.sh --quick "$N"
	docker/images.sh
	mapfile -t numbers < <(seq "$N")
	say "waiting for $N stacks to be healthy (at most a minute each) ..."
	begun=$SECONDS
	each start "${numbers[@]}" ||
		die "not every attendee has a stack; why is above. What is well stays. Repair it, then: make room N=$N"
	say "ready: $N of $N stacks ($((SECONDS - begun)) s)"
	status "${numbers[@]}"
	ssh_lines "${numbers[@]}"
}

stop() {
	local number numbers=()
	# What is no number keeps nobody.
	[ -z "$N" ] || workshop/instructor/attendee.sh "$N" >/dev/null
	for number in "${there[@]}"; do
		[ "$number" -le "${N:-0}" ] || numbers+=("$number")
	done
	each stop "${numbers[@]}"
	say "taken down: ${#numbers[@]} of ${#there[@]} attendees; their captures stay in profiles/$project-*"
}

goto() {
	each goto "${there[@]}" || die "not every patient is at step $GOTO; which one is above"
	say "at step $GOTO ($VARIANT): ${#there[@]} of ${#there[@]} patients"
}

reset() {
	local number numbers=("${there[@]}")
	[ "$RESET" = all ] || IFS=, read -r -a numbers <<<"$RESET"
	for number in "${numbers[@]}"; do
		[[ " ${there[*]} " == *" $number "* ]] ||
			die "there is no attendee '$number'; there are ${there[*]}, as in: make room RESET=${there[0]}"
	done
	each reset "${numbers[@]}"
}

main() {
	if [ "$#" -eq 2 ]; then
		"$1_one" "$2"
		return
	fi
	mapfile -t there < <(present)
	if [ -n "$STOP" ]; then
		stop
	elif [ -n "$N" ]; then
		start
	elif [ "${#there[@]}" -eq 0 ]; then
		die "there is no room. For five attendees, type: make room N=5"
	elif [ -n "$GOTO" ]; then
		goto
	elif [ -n "$RESET" ]; then
		reset
	elif [ -n "$STATUS" ]; then
		status "${there[@]}"
	else
		die "what is to be done? make room N=5, STATUS=1, GOTO=3, RESET=all or STOP=1"
	fi
}

main "$@"
