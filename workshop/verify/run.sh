#!/usr/bin/env bash
# run.sh STEP PAIR: 'make verify'. Compiles the tree as it lies here, runs it beside the workshop and sees
# whether it is mended: what grew or stood still does so no more, and each request still does its work.
# Exits with 0 when it is. Nothing of the workshop is touched, and all that was started is removed again.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../../docker/lib.sh
. ../../docker/lib.sh
# shellcheck source-path=SCRIPTDIR source=checks.sh
. ./checks.sh

tag=$(setting SICKBAY_TAG dev)
project=$(setting COMPOSE_PROJECT_NAME sickbay)-verify
step='' pair='' lab='' # as asked: a number, file or http; the lab's folder
program=sickbay-app target=build/app

# ---- the stage -----------------------------------------------------------------------------------

compose() {
	VERIFY_PROGRAM=$program COMPOSE_PROFILES='' docker compose -p "$project" --project-directory ../.. \
		-f ../../compose.yaml -f compose.yaml "$@"
}

in_toolbox() { docker exec -i "$project-toolbox-1" "$@"; }
# in_toolbox_with NAME=VALUE... COMMAND...
in_toolbox_with() { in_toolbox env "$@"; }
in_patient() { docker exec "$project-app-1" /bin/sh -c "$1" </dev/null; }

take_down() {
	trap '' INT TERM HUP
	compose --profile '*' down --volumes --remove-orphans --timeout 1 >/dev/null 2>&1 </dev/null || true
}

how_it_ended() {
	docker inspect --format '{{if .State.OOMKilled}}out of memory{{else}}status {{.State.ExitCode}}{{end}}' "$project-app-1" 2>/dev/null ||
		echo 'without a word'
}

need_images() {
	local image
	for image in anchor upstream toolbox app; do
		docker image inspect "sickbay-$image:$tag" >/dev/null 2>&1 || die "the workshop is not there. Type: make up"
	done
	docker image inspect "sickbay-compiler:$tag" >/dev/null 2>&1 || (cd ../.. && build_images compiler)
}

# be_alone: two of one workshop would take each other down. Held until this script and all that it runs have ended.
be_alone() {
	mkdir -p ../../build
	exec 9>"../../build/$project.lock"
	flock --nonblock 9 || die "another 'make verify' of this workshop is under way; try again when it has ended"
}

# compile: what the compiler says is shown when it does not agree.
compile() {
	local log begun=$SECONDS
	say "compiling your tree ..."
	log=$(mktemp)
	if ! tar -c -C ../.. Makefile services | compose run --rm -T --no-deps compiler \
		sh -c "$(cat compile.sh)" compile "$target" "$program" >"$log" 2>&1; then
		grep -v -E '^  (CC|LINK|PROTO) |^ *(Network|Volume|Container) ' "$log" >&2 || true
		rm -f "$log"
		die "your tree does not compile. What the compiler says is above; 'make verify' again once it is mended."
	fi
	rm -f "$log"
	say "compiled ($((SECONDS - begun)) s)"
}

listens() { in_toolbox curl -s -o /dev/null --max-time 1 http://localhost:6060/goto; }

start() {
	local log services=(anchor upstream toolbox app)
	log=$(mktemp)
	if ! compose up --detach --no-build "${services[@]}" >"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		rm -f "$log"
		die "what you built could not be started. What failed is above; 'make doctor' looks at the machine."
	fi
	rm -f "$log"
	if ! wait_for 15 'what you built' listens; then
		docker logs --tail=20 "$project-app-1" >&2 || true
		die "what you built does not answer ($(how_it_ended)). Its last words are above."
	fi
	[ -n "$pair" ] || in_toolbox curl -s -o /dev/null --max-time 5 "http://localhost:6060/goto?step=$step" ||
		die "what you built does not go to step $step"
}

# ---- what is asked -------------------------------------------------------------------------------

choose() {
	step=$1 pair=$2
	case $step/$pair in
	0/) ;;
	[1-7]/) lab=$(echo ../labs/"0$step"-*) ;;
	/file) lab=$(echo ../labs/08-*) program=file-leak target=build/leaks/file-leak ;;
	/http) lab=$(echo ../labs/09-*) program=http-leak target=build/leaks/http-leak ;;
	/*) die "PAIR is '$pair'; it must be file or http, as in: make verify PAIR=file; or name a step: make verify STEP=3" ;;
	*) die "STEP is '$step'; it must be 0 to 7, as in: make verify STEP=3" ;;
	esac
}

# The workshop may be down: then it is told nothing.
tell_desk() {
	(cd ../.. && ask_desk /labs/verified --data "lab=$(basename "$lab")" >/dev/null 2>&1) ||
		say "the desk could not be told"
}

main() {
	choose "$1" "$2"
	if [ "$step" = 0 ]; then
		say "there is nothing to mend in step 0: the patient is well. Try: make verify STEP=1"
		return
	fi
	need_images
	be_alone
	take_down
	trap take_down EXIT
	trap 'exit 130' INT TERM HUP
	compile
	start
	# shellcheck source=/dev/null
	. "$lab/verify"
	if finish; then
		say "mended: $(basename "$lab")"
		tell_desk
	else
		say "not yet: what is said beside 'not yet' is still to be mended. The sources are in services/; the hints may help."
		return 1
	fi
}

main "$1" "$2"
