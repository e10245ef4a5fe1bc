#!/usr/bin/env bash
# trace.sh SECONDS NAME KERNEL: 'make trace'. The patient's own trace of the next SECONDS, as
# profiles/captures/NAME.pftrace; where KERNEL is not empty, merged with what the kernel did meanwhile.
# Where the kernel cannot be recorded it says why, and the patient's own trace is there all the same.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
cd ..

CAPTURES=$(captures_folder)
SECONDS_MAX=300
work='' recorder='' recorder_pid='' # a directory; a container, and the client that started it

clean_up() {
	exec 5>&-
	[ -z "$recorder" ] || docker stop -t 5 "$recorder" >/dev/null 2>&1 || true
	[ -z "$work" ] || rm -rf "$work"
}

container_of() { docker compose ps --quiet --no-trunc "$1" 2>/dev/null; }

check() {
	local seconds=$1 name=$2
	if ! [[ $seconds =~ ^[1-9][0-9]{0,2}$ ]] || [ "$seconds" -gt "$SECONDS_MAX" ]; then
		die "SECONDS is '$seconds'; it must be a whole number from 1 to $SECONDS_MAX, as in: make trace SECONDS=5"
	fi
	[[ $name =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$ ]] ||
		die "NAME is '$name'; it may have letters, digits, '.', '_' and '-', as in: make trace NAME=step-6"
	[ ! -e "$CAPTURES/$name.pftrace" ] ||
		die "$CAPTURES/$name.pftrace is there already; remove it, or choose another NAME"
	[ -n "$(container_of toolbox)" ] || die "the stack is not up. Type: make up"
}

# ---- the patient's own ---------------------------------------------------------------------------

# progress SECONDS PID: until that process ends.
progress() {
	local seconds=$1 pid=$2 begun=$SECONDS passed
	say "tracing the patient for $seconds s ..."
	while kill -0 "$pid" 2>/dev/null; do
		passed=$((SECONDS - begun))
		[ ! -t 1 ] || printf '\r  %d of %d s ' "$((passed < seconds ? passed : seconds))" "$seconds"
		sleep 0.2
	done
	[ ! -t 1 ] || printf '\r%20s\r' ''
}

trace_patient() {
	local seconds=$1 out=$2 said=$work/curl pid
	mkfifo "$work/alive"
	# What is run in a container does not end with its client, and the patient would trace on: it ends with
	# its input, which ends with us, whatever ends us.
	# shellcheck disable=SC2016 # expanded by the inner shell
	docker compose exec -T toolbox sh -c 'exec 3<&0
		curl "$@" </dev/null & curl=$!
		{ read -r _ <&3; kill "$curl"; } >/dev/null 2>&1 & watcher=$!
		wait "$curl"; status=$?
		kill "$watcher" 2>/dev/null
		exit "$status"' \
		sh -sS --fail-with-body --max-time "$((seconds + 60))" \
		"http://localhost:6060/debug/pprof/trace?seconds=$seconds" <"$work/alive" >"$out" 2>"$said" &
	pid=$!
	exec 5>"$work/alive"
	progress "$seconds" "$pid"
	if ! wait "$pid"; then
		# What the patient says to a request that it refuses is the body.
		[ ! -s "$out" ] || said=$out
		die "there is no trace: $(head -c 500 "$said" | tr -d '\0')"
	fi
}

# ---- the kernel's --------------------------------------------------------------------------------

# start_recorder: returns when the kernel records; false, with a sentence, where it cannot. What it wants
# of us goes into descriptor 3, what it says comes out of 4.
start_recorder() {
	local line last='' image project
	image=$(docker compose --profile kernel-trace config --images recorder 2>/dev/null)
	docker image inspect "$image" >/dev/null 2>&1 || docker/recorder-image.sh || return 1
	project=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.project"}}' "$(container_of toolbox)")
	[ -z "$(docker ps --quiet --filter "name=^$project-recorder\$")" ] ||
		die "the kernel is being recorded for this stack already; wait until that has ended"
	recorder=$project-recorder
	mkfifo "$work/to" "$work/said"
	# A process group of its own: Ctrl-C would have it remove the recorder before that has cleaned up.
	set -m
	docker compose --progress quiet run --rm -T --name "$recorder" recorder record \
		<"$work/to" >"$work/merged" 2>"$work/said" &
	recorder_pid=$!
	set +m
	exec 3>"$work/to" 4<"$work/said"
	say "waiting for the kernel's tracing to start ..."
	while read -r -u 4 line; do
		[ "$line" != 'recorder: recording' ] || return 0
		last=$line
	done
	recorder=
	warn "the kernel is not recorded: $(explain_recorder "$last"). The patient's own trace comes without it."
	return 1
}

# merge OWN: hands it over; the merged trace is in $work/merged then.
merge() {
	local line last=''
	cat "$1" >&3 2>/dev/null || true
	exec 3>&-
	while read -r -u 4 line; do
		last=$line
		[[ $line != 'recorder: '* ]] || say "$line"
	done
	recorder=
	wait "$recorder_pid" && return
	warn "the kernel's trace is lost: $(explain_recorder "$last"). The patient's own is there without it."
	return 1
}

# ---- both ----------------------------------------------------------------------------------------

main() {
	local seconds=$1 name=${2:-trace-$(date +%Y%m%d-%H%M%S)} kernel=${3:-} own port
	check "$seconds" "$name"
	trap clean_up EXIT
	trap 'exit 130' INT TERM HUP
	work=$(mktemp -d "$CAPTURES/.trace.XXXXXX")
	own=$work/own
	[ -z "$kernel" ] || warn_of_recorder
	if [ -n "$kernel" ] && start_recorder; then
		trace_patient "$seconds" "$own"
		! merge "$own" || own=$work/merged
	else
		trace_patient "$seconds" "$own"
	fi
	chmod a+r "$own"
	mv "$own" "$CAPTURES/$name.pftrace"
	port=$(docker compose port desk 8000 2>/dev/null | sed 's/.*://' || true)
	say "written: $CAPTURES/$name.pftrace ($(du -k "$CAPTURES/$name.pftrace" | cut -f 1) KB)"
	say "open http://localhost:${port:-$(setting SICKBAY_PORT_DESK 8000)}/viewer/?url=/captures/$name.pftrace"
}

main "$@"
