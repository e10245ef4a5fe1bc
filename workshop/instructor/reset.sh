#!/usr/bin/env bash
# reset.sh HARD CAPTURES PROGRESS: 'make reset'. The patient back to step 0, with the limit of open files that
# it was started with; the steady requests of the desk end. Done is what the patient's own counters say is
# done: one that does not answer, or has not given back what it took, is restarted. Nothing else is: tools,
# captures under way and the desk's pages go on.
#   HARD      the patient's container is made anew
#   CAPTURES  forgets the captures as well, but for those that are under way; PROGRESS the progress
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
cd ../..

# What a patient in step 0 stays below: some three times what it has when it has just started. A core brings an
# event loop, and callers bring connections; these are counted apart.
THREADS_MAX=64 THREADS_PER_CORE=1
FILES_MAX=64 FILES_PER_CORE=4
HEAP_MAX_MIB=64
SETTLE_SECONDS=3

# ask_for_step_0 SOFT: and prints the patient's metrics then. As the patient's own user, for only that one may
# raise its limit.
ask_for_step_0() {
	# shellcheck disable=SC2016 # expanded in the toolbox
	docker exec -u 10001:10001 "$toolbox" bash -c '
		curl -s --max-time 1 -o /dev/null -H "Host: localhost" -H "Sec-Fetch-Site: same-origin" -d rate=0 \
			http://desk:8000/patient/requests
		curl -fsS --fail-early --max-time 3 -o /dev/null "http://localhost:6060/goto?step=0" \
			--next -fsS --max-time 3 http://localhost:6060/metrics &&
			prlimit --pid "$APP_PID" --nofile="$1:"' ask "$1" 2>/dev/null
}

# counts_of_well: of metrics on stdin, "THREADS DESCRIPTORS HEAP_MIB"; false where one is not of a well patient.
counts_of_well() {
	awk -v cores="$(nproc)" -v threads_max="$THREADS_MAX" -v threads_per_core="$THREADS_PER_CORE" \
		-v files_max="$FILES_MAX" -v files_per_core="$FILES_PER_CORE" -v heap_max_mib="$HEAP_MAX_MIB" '
		$1 == "app_threads" { threads = $2 }
		$1 == "process_open_fds" { files = $2 }
		$1 == "app_http_connections_open{role=\"server\"}" { callers = $2 }
		$1 == "app_heap_inuse_bytes" { heap_mib = $2 / 1048576 }
		END {
			if (!threads || threads > threads_max + threads_per_core * cores ||
				files - callers > files_max + files_per_core * cores || heap_mib > heap_max_mib)
				exit 1
			printf "%d %d %.1f\n", threads, files - callers, heap_mib
		}'
}

# settle: resets, and prints the counts once they are those of a well patient.
settle() {
	local soft end=$((SECONDS + SETTLE_SECONDS))
	soft=$(soft_at_start)
	until ask_for_step_0 "$soft" | counts_of_well; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# soft_at_start: of the container, unless the patient was told otherwise. Not asked of a process in there:
# whatever starts that may have raised its soft limit to the hard one.
soft_at_start() {
	docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}{{range .HostConfig.Ulimits}}{{.Name}}={{println .Soft}}{{end}}' "$app" |
		awk -F= '$1 == "APP_NOFILE" { told = $2 } $1 == "nofile" { soft = $2 } END { print told ? told : soft }'
}

healthy() { docker exec "$app" /usr/local/bin/sickbay-app --health; }

# has_mystery: the patient was made from more than compose.yaml.
has_mystery() {
	[[ $(docker inspect --format '{{index .Config.Labels "com.docker.compose.project.config_files"}}' "$app") == */instructor/mystery/compose.yaml ]]
}

recreate() {
	! has_mystery ||
		die "the patient has a mystery, and a new one would be the lessons' beside the mystery's sources. First: make mystery STOP=1"
	say "making the patient's container anew"
	docker compose up --detach --force-recreate --no-deps --no-build --timeout 2 app >/dev/null 2>&1 ||
		die "the patient's container could not be made anew. Type: make up"
	app=$(stack_container app)
}

restart() {
	say "the patient does not answer, or has not given back what it took; restarting it"
	docker restart --time 2 "$app" >/dev/null
}

# back: to be waited for, and reset: a room may start its patients in a step of their own.
back() {
	wait_for 15 "the patient" healthy >&2 || die "the patient did not come back. Look at: make logs"
	settle || die "the patient came back, but not to step 0 and its usual size. Look at: make logs"
}

# forget_captures: a name that begins with a dot is of one that is under way.
forget_captures() {
	local folder found
	folder=$(captures_folder)
	mapfile -t found < <(find "$folder" -mindepth 1 -maxdepth 1 ! -name '.*')
	[ "${#found[@]}" -eq 0 ] || rm -rf "${found[@]}" ||
		die "not all captures could be deleted: some belong to another user. Type: sudo rm -rf $folder/*"
	say "${#found[@]} captures deleted in $folder"
}

forget_progress() {
	local known answered mended
	known=$(ask_desk /labs/progress)
	ask_desk /labs/forget --data '' >/dev/null
	answered=${known//'"answered":true'/} mended=${known//'"verified":true'/}
	say "progress forgotten: $(((${#known} - ${#answered}) / 15)) labs answered, $(((${#known} - ${#mended}) / 15)) mended"
}

main() {
	local hard=$1 captures=$2 progress=$3 counts
	toolbox=$(stack_container toolbox)
	app=$(stack_container app)
	if [ -z "$toolbox" ] || [ -z "$app" ]; then
		die "the stack is not up. Type: make up"
	fi
	if [ -n "$hard" ]; then
		recreate
		counts=$(back)
	elif ! counts=$(settle); then
		restart
		counts=$(back)
	fi
	# shellcheck disable=SC2086 # three words
	printf 'sickbay: step 0; %d threads, %d descriptors, %s MiB of heap\n' $counts
	[ -z "$captures" ] || forget_captures
	[ -z "$progress" ] || forget_progress
}

main "$@"
